//! Reading a whole table, for what is done once in a long while and deserves no index: erasing somebody.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::Error;

/// Parts of the table read side by side.
const SEGMENTS: i32 = 8;

/// An item of a table.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Calls `with` for every item of a table that `wanted` picks, with `names` of its attributes alone.
pub(crate) async fn for_each(
    client: &Client,
    table: &str,
    names: &[&str],
    wanted: impl Fn(&Item) -> bool,
    with: impl AsyncFn(Item) -> Result<(), Error>,
) -> Result<u64, Error> {
    let (wanted, with) = (&wanted, &with);
    let segments = stream::iter(0..SEGMENTS).map(|segment| async move {
        let mut scan = client
            .scan()
            .table_name(table)
            .segment(segment)
            .total_segments(SEGMENTS);
        let mut projection = Vec::new();
        for (index, name) in names.iter().enumerate() {
            scan = scan.expression_attribute_names(format!("#n{index}"), *name);
            projection.push(format!("#n{index}"));
        }
        let scan = scan.projection_expression(projection.join(", "));
        let mut items = scan.into_paginator().items().send();
        let mut found = 0;
        while let Some(item) = items.next().await {
            let item = item.map_err(Error::from_sdk("read a table"))?;
            if wanted(&item) {
                with(item).await?;
                found += 1;
            }
        }
        Ok(found)
    });
    let found: Vec<u64> = segments
        .buffer_unordered(SEGMENTS as usize)
        .try_collect()
        .await?;
    Ok(found.into_iter().sum())
}

/// An attribute as text.
pub(crate) fn get_text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}
