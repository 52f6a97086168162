//! A file of the corpus and what it must give.

use campaign::lifecycle::campaign::ImportOptions;
use serde_json::{Value, json};

/// Two recipients.
pub(super) const JOSE_AND_ZOE: &str = "phone,name\n+5511987654321,José\n+34612345678,Zoë\n";

/// The same with semicolons.
pub(super) fn with_semicolons() -> String {
    JOSE_AND_ZOE.replace(',', ";")
}

/// A file and what it must give.
pub(super) struct Case {
    pub(super) file: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) options: ImportOptions,
    pub(super) message: Value,
    pub(super) expected: Expected,
}

/// What a file gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Expected {
    /// Recipients: row, number, name.
    pub(super) recipients: Vec<(u32, String, String)>,
    /// Rejected: row, column, a part of the problem.
    pub(super) rejected: Vec<(u32, String, String)>,
    pub(super) duplicates: u64,
    /// `csv` or `xlsx`, encoding, delimiter; empty where it does not matter.
    pub(super) read_as: String,
    /// Why the file cannot be used: a part of the sentence.
    pub(super) failure: String,
}

/// A file whose message is `Hi {{name}}`.
pub(super) fn case(file: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    let message = json!({"type": "text", "text": {"body": "Hi {{name}}"}});
    Case {
        file,
        bytes: bytes.into(),
        options: ImportOptions::default(),
        message,
        expected: Expected::default(),
    }
}

impl Case {
    pub(super) fn recipient(mut self, row: u32, to: &str, name: &str) -> Self {
        self.expected.recipients.push((row, to.into(), name.into()));
        self
    }

    /// José and Zoë.
    pub(super) fn jose_and_zoe(self) -> Self {
        self.recipient(1, "+5511987654321", "José")
            .recipient(2, "+34612345678", "Zoë")
    }

    /// Ana, with the number that most files have.
    pub(super) fn ana(self, row: u32) -> Self {
        self.recipient(row, "+5511987654321", "Ana")
    }

    pub(super) fn rejected(mut self, row: u32, column: &str, problem: &str) -> Self {
        self.expected
            .rejected
            .push((row, column.into(), problem.into()));
        self
    }

    pub(super) fn duplicates(mut self, count: u64) -> Self {
        self.expected.duplicates = count;
        self
    }

    pub(super) fn read_as(mut self, how: &str) -> Self {
        self.expected.read_as = how.into();
        self
    }

    pub(super) fn fails_with(mut self, sentence: &str) -> Self {
        self.expected.failure = sentence.into();
        self
    }

    pub(super) fn default_region(mut self, region: &str) -> Self {
        self.options.default_region = Some(region.into());
        self
    }

    pub(super) fn with_options(mut self, change: impl FnOnce(&mut ImportOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// The name as a template's parameter, where white space is restricted.
    pub(super) fn in_template_parameter(mut self) -> Self {
        self.message = json!({"type": "template", "template": {"name": "t", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}});
        self
    }

    pub(super) fn text(mut self, body: &str) -> Self {
        self.message = json!({"type": "text", "text": {"body": body}});
        self
    }
}
