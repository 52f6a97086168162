//! A scan of a whole table: for erasures, which are too rare for an index.

use aws_sdk_dynamodb::Client;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::Error;
use crate::dynamodb::Item;

/// Segments of the table that are scanned in parallel.
const SEGMENTS: i32 = 8;

/// Reads these `attributes` of every item of a table, and calls `action` for each item that `is_wanted`.
/// Returns the number of those items.
pub(crate) async fn for_each(
    client: &Client,
    table: &str,
    attributes: &[&str],
    is_wanted: impl Fn(&Item) -> bool,
    action: impl AsyncFn(Item) -> Result<(), Error>,
) -> Result<u64, Error> {
    let (is_wanted, action) = (&is_wanted, &action);
    let segments = stream::iter(0..SEGMENTS).map(|segment| async move {
        let mut scan = client
            .scan()
            .table_name(table)
            .segment(segment)
            .total_segments(SEGMENTS);
        // Placeholders, because an attribute may have a reserved name.
        let mut projection = Vec::new();
        for (index, attribute) in attributes.iter().enumerate() {
            scan = scan.expression_attribute_names(format!("#n{index}"), *attribute);
            projection.push(format!("#n{index}"));
        }
        let scan = scan.projection_expression(projection.join(", "));
        let mut items = scan.into_paginator().items().send();
        let mut count = 0;
        while let Some(item) = items.next().await {
            let item = item.map_err(Error::from_sdk("scan a table"))?;
            if is_wanted(&item) {
                action(item).await?;
                count += 1;
            }
        }
        Ok(count)
    });
    let counts: Vec<u64> = segments
        .buffer_unordered(SEGMENTS as usize)
        .try_collect()
        .await?;
    Ok(counts.into_iter().sum())
}

/// An attribute as text.
pub(crate) fn get_text<'i>(item: &'i Item, attribute: &str) -> Option<&'i str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}
