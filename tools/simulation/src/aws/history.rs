//! Every request, in the order in which the services executed them.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::faults::Fault;
use crate::clock;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The time in milliseconds since the Unix epoch, without skew.
    pub at_ms: u64,
    /// The process, as [`super::Host::label`] names it.
    pub host: String,
    /// The number of the request among those of its process.
    pub request: u64,
    /// The service and the operation, such as `dynamodb.UpdateItem`.
    pub operation: String,
    /// What it is about: table and key, queue, or object.
    pub key: String,
    /// What became of it: the HTTP status, the error's code.
    pub outcome: String,
    /// What went wrong with it.
    pub fault: Option<Fault>,
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry {
            at_ms,
            host,
            request,
            operation,
            key,
            outcome,
            fault,
        } = self;
        write!(
            formatter,
            "{at_ms} {host} {request} {operation} {key} {outcome}"
        )?;
        fault.map_or(Ok(()), |fault| write!(formatter, " [{fault}]"))
    }
}

/// The requests so far. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Vec<Entry>>>);

impl History {
    /// Appends an entry.
    pub fn push(&self, entry: Entry) {
        self.lock().push(entry);
    }

    /// Appends something that is no request to AWS: a call of another service, a decision of the simulation.
    pub fn note(&self, host: &str, operation: &str, key: &str, outcome: &str) {
        self.push(Entry {
            at_ms: clock::now_ms(),
            host: host.into(),
            request: 0,
            operation: operation.into(),
            key: key.into(),
            outcome: outcome.into(),
            fault: None,
        });
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries for which `is_wanted` holds.
    pub fn find(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let entries = self.lock();
        let wanted = entries.iter().filter(|entry| is_wanted(entry));
        wanted.cloned().collect()
    }

    /// All entries as text, one in a line.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for entry in self.lock().iter() {
            // Writing into a string does not fail.
            let _ = writeln!(text, "{entry}");
        }
        text
    }

    /// A hash of that text: equal for runs that did the same.
    pub fn hash(&self) -> String {
        let (mut hash, mut line) = (Sha256::new(), String::new());
        for entry in self.lock().iter() {
            line.clear();
            // Writing into a string does not fail.
            let _ = writeln!(line, "{entry}");
            hash.update(&line);
        }
        hex::encode(&hash.finalize()[..8])
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
