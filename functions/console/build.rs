//! The files are read when the crate is compiled, so it is compiled again when they change.

fn main() {
    println!("cargo:rerun-if-changed=dist");
}
