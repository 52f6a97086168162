//! One set of dependency features for every build of tests: a dev-dependency of each package that uses AWS or Meta.
//! Without it, `cargo test --package sender` would compile the AWS SDK anew with fewer features than the workspace has.
//! Release builds do not see it.
