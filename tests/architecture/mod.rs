//! How the code is put together: who may depend on whom.

mod dependencies;
