//! DynamoDB: attribute values, items, and writes with a condition.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind};

/// An item of a table, or its key.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The result of an update with a condition.
pub(crate) enum Update {
    /// It was written; the item, if return values were asked for.
    Written(Option<Item>),
    /// The condition did not hold; the item as it is, if it exists and was asked for.
    ConditionFailed(Option<Item>),
}

/// A string.
pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// A string, or `NULL`.
pub(crate) fn optional_text(value: Option<&str>) -> AttributeValue {
    value.map_or(AttributeValue::Null(true), text)
}

/// A number.
pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Any value as an attribute.
pub(crate) fn to_attribute<T: Serialize>(
    action: &'static str,
    value: T,
) -> Result<AttributeValue, Error> {
    serde_dynamo::to_attribute_value(value).map_err(|error| Error::new(action, error))
}

/// A value as an item.
pub(crate) fn to_item<T: Serialize>(action: &'static str, value: T) -> Result<Item, Error> {
    serde_dynamo::to_item(value).map_err(|error| Error::new(action, error))
}

/// The value of an attribute.
pub(crate) fn from_attribute<T: DeserializeOwned>(
    action: &'static str,
    value: AttributeValue,
) -> Result<T, Error> {
    serde_dynamo::from_attribute_value(value).map_err(|error| Error::new(action, error))
}

/// The value of an item.
pub(crate) fn from_item<T: DeserializeOwned>(action: &'static str, item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::new(action, error))
}

/// Reads one item as it is now.
pub(crate) async fn get_item(
    action: &'static str,
    get: GetItemFluentBuilder,
) -> Result<Option<Item>, Error> {
    let response = get.consistent_read(true).send().await;
    Ok(response.map_err(Error::from_sdk(action))?.item)
}

/// Reads one item as it is now, as a value.
pub(crate) async fn get_value<T: DeserializeOwned>(
    action: &'static str,
    get: GetItemFluentBuilder,
) -> Result<Option<T>, Error> {
    let item = get_item(action, get).await?;
    item.map(|item| from_item(action, item)).transpose()
}

/// Reads every result of a query, page after page.
pub(crate) async fn query_values<T: DeserializeOwned>(
    action: &'static str,
    query: QueryFluentBuilder,
) -> Result<Vec<T>, Error> {
    let mut items = query.into_paginator().items().send();
    let mut values = Vec::new();
    while let Some(item) = items.next().await {
        values.push(from_item(action, item.map_err(Error::from_sdk(action))?)?);
    }
    Ok(values)
}

/// Sends an update with a condition.
pub(crate) async fn update_if(
    action: &'static str,
    update: UpdateItemFluentBuilder,
) -> Result<Update, Error> {
    match update.send().await {
        Ok(response) => Ok(Update::Written(response.attributes)),
        Err(SdkError::ServiceError(error))
            if error.err().is_conditional_check_failed_exception() =>
        {
            let item = match error.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => failed.item,
                _ => None,
            };
            Ok(Update::ConditionFailed(item))
        }
        Err(error) => Err(Error::from_sdk(action)(error)),
    }
}

/// Sends an update with a condition; returns whether the condition held.
pub(crate) async fn send_if(
    action: &'static str,
    update: UpdateItemFluentBuilder,
) -> Result<bool, Error> {
    match update_if(action, update).await? {
        Update::Written(_) => Ok(true),
        Update::ConditionFailed(_) => Ok(false),
    }
}

/// Puts an item with a condition; returns whether the condition held.
pub(crate) async fn put_if(action: &'static str, put: PutItemFluentBuilder) -> Result<bool, Error> {
    match put.send().await.map_err(Error::from_sdk(action)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind == ErrorKind::ConditionFailed => Ok(false),
        Err(error) => Err(error),
    }
}
