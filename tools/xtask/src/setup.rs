//! The tools that come from `PyPI`, each set in a virtual environment of its own: LocalStack and the SAM CLI disagree
//! about dependencies. Made on first use, and again when a version here changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::quietly;
use crate::{dev, root};

/// A virtual environment.
pub(crate) struct Tools {
    name: &'static str,
    packages: &'static [&'static str],
}

/// The embedded stack. The extra brings the SAM translator.
pub(crate) const EMULATOR: Tools = Tools {
    name: "emulator",
    packages: &["ministack[full]==1.5.33"],
};

/// What builds and deploys: cargo-lambda brings zig and links against Lambda's glibc.
pub(crate) const BUILD: Tools = Tools {
    name: "build",
    packages: &[
        "cargo-lambda==1.9.2",
        "aws-sam-cli==1.170.0",
        "cfn-lint==1.58.0",
    ],
};

/// What the tests of single services run against: the last free community release line, without Docker.
pub(crate) const LOCALSTACK: Tools = Tools {
    name: "localstack",
    packages: &[
        "localstack-core[runtime]==4.13.1",
        "cbor2<6",
        "pyopenssl==25.1.0",
        "service_identity",
    ],
};

impl Tools {
    /// Makes the environment where it is missing or outdated.
    pub(crate) fn ready(&self) -> Result<()> {
        let wanted = self.packages.join("\n");
        let stamp = self.folder().join("crier-packages");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        fs::create_dir_all(dev().join("logs"))?;
        let _ = fs::remove_dir_all(self.folder());
        let log = |step: &str| {
            dev()
                .join("logs")
                .join(format!("setup-{}-{step}.log", self.name))
        };
        let what = format!("set up {} (once)", self.name);
        let mut venv = Command::new(python()?);
        quietly(
            &what,
            venv.args(["-m", "venv"]).arg(self.folder()),
            &log("venv"),
        )?;
        let mut pip = Command::new(self.bin("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(self.packages);
        quietly(
            &format!("install {}", self.packages[0]),
            &mut pip,
            &log("pip"),
        )?;
        fs::write(stamp, wanted).context("note what was installed")
    }

    /// A program of the environment.
    pub(crate) fn bin(&self, program: &str) -> PathBuf {
        self.folder().join("bin").join(program)
    }

    /// `PATH` with the environment's programs first.
    pub(crate) fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", self.folder().join("bin").display())
    }

    fn folder(&self) -> PathBuf {
        dev().join(self.name)
    }
}

/// A Python of 3.11 or newer.
fn python() -> Result<&'static str> {
    let version = "import sys; sys.exit(sys.version_info < (3, 11))";
    let fits = |name: &&str| {
        Command::new(name)
            .args(["-c", version])
            .status()
            .is_ok_and(|status| status.success())
    };
    let found = [
        "python3",
        "python3.13",
        "python3.12",
        "python3.11",
        "python",
    ]
    .into_iter()
    .find(fits);
    match found {
        Some(name) => Ok(name),
        None => bail!("Python 3.11 or newer is needed (with venv); install it and try again"),
    }
}

/// The Python port of Google's libphonenumber, with the same metadata as the crate (its Readme names the version).
pub(crate) const PHONES: Tools = Tools {
    name: "phones",
    packages: &["phonenumbers==9.0.42"],
};

/// cargo-deny, built from source on first use: it is in no Python package of today.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    installed("cargo-deny", "0.20.2")
}

/// cargo-fuzz, likewise.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    installed("cargo-fuzz", "0.13.2")
}

fn installed(name: &str, version: &str) -> Result<PathBuf> {
    let folder = dev().join(name);
    let program = folder.join("bin").join(name);
    let stamp = folder.join("crier-version");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == version) {
        return Ok(program);
    }
    fs::create_dir_all(dev().join("logs"))?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(["install", name, "--locked", "--version", version, "--root"])
        .arg(&folder);
    quietly(
        &format!("build {name} (once)"),
        &mut cargo,
        &dev().join(format!("logs/{name}.log")),
    )?;
    fs::write(stamp, version)?;
    Ok(program)
}

/// Builds programs of the workspace in the development profile; gives the folder they are in.
pub(crate) fn build(packages: &[&str]) -> Result<PathBuf> {
    fs::create_dir_all(dev().join("logs"))?;
    let mut cargo = Command::new("cargo");
    cargo.arg("build").current_dir(root());
    for package in packages {
        cargo.args(["--package", package]);
    }
    quietly(
        &format!("build {}", packages.join(", ")),
        &mut cargo,
        &dev().join("logs/cargo-build.log"),
    )?;
    Ok(target().join("debug"))
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| Path::new(&dir).to_owned())
}
