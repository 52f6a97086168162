//! The batches of an invocation until their messages are deleted. A batch is finished when each of its rows was tried and
//! none of its sends is in flight.

use std::collections::BTreeMap;

use cloud::Error;

use crate::send_backend::{MessageHandle, Priority, SendBackend};

/// Batches by their number in this invocation.
#[derive(Debug, Default)]
pub(crate) struct BatchTracker {
    in_flight: BTreeMap<usize, usize>,
    /// Batches whose rows were all tried, and their messages.
    tried: Vec<(usize, MessageHandle)>,
}

impl BatchTracker {
    /// A send of the batch starts.
    pub(crate) fn send_started(&mut self, batch: usize) {
        *self.in_flight.entry(batch).or_default() += 1;
    }

    /// A send of the batch has ended.
    pub(crate) fn send_completed(&mut self, batch: usize) {
        if let Some(in_flight) = self.in_flight.get_mut(&batch) {
            *in_flight -= 1;
        }
    }

    /// Each row of the batch was tried.
    pub(crate) fn rows_tried(&mut self, batch: usize, handle: MessageHandle) {
        self.tried.push((batch, handle));
    }

    /// No send is in flight any more, not even one whose task panicked.
    pub(crate) fn all_sends_completed(&mut self) {
        self.in_flight.clear();
    }

    /// Deletes the messages of finished batches. Their rows must have been requeued before, where that is due.
    pub(crate) async fn delete_finished(
        &mut self,
        backend: &impl SendBackend,
    ) -> Result<(), Error> {
        for priority in [Priority::Bulk, Priority::Urgent] {
            let finished: Vec<String> = self
                .tried
                .iter()
                .filter(|(batch, handle)| handle.priority == priority && self.is_idle(*batch))
                .map(|(_, handle)| handle.receipt.clone())
                .collect();
            backend.delete_messages(priority, &finished).await?;
            self.tried
                .retain(|(_, handle)| !finished.contains(&handle.receipt));
        }
        Ok(())
    }

    fn is_idle(&self, batch: usize) -> bool {
        self.in_flight.get(&batch).is_none_or(|count| *count == 0)
    }
}
