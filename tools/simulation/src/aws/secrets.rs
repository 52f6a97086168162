//! Secrets Manager: one secret.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::faults::Service;
use super::message::Response;

/// Secrets Manager. Clones are the same.
#[derive(Clone, Debug)]
pub struct Secrets {
    name: String,
    value: Arc<Mutex<String>>,
}

impl Secrets {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            value: Arc::default(),
        }
    }

    /// The secret's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret's value.
    pub fn get(&self) -> String {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        value.clone()
    }

    /// Sets the secret's value, as an operator does who rotates it.
    pub fn set(&self, value: &str) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = value.into();
    }

    pub(super) fn call(&self, operation: &str, request: &Value) -> Response {
        assert_eq!(
            operation, "GetSecretValue",
            "the simulation's Secrets Manager has no such operation"
        );
        if request["SecretId"] != self.name {
            let message = "Secrets Manager can't find the specified secret.";
            let code = "ResourceNotFoundException";
            return Response::error(Service::SecretsManager, 400, code, message);
        }
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        Response::json(&json!({
            "Name": self.name,
            "ARN": self.name,
            "VersionId": "00000000-0000-0000-0000-000000000000",
            "SecretString": *value,
        }))
    }
}
