//! Signed uploads and downloads, as the API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::CampaignStateName;

/// A signed upload: the request to make, exactly as it is here.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedUpload {
    /// `PUT`.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The headers to send, exactly as they are here.
    pub headers: BTreeMap<String, String>,
    /// When the signature expires.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// A signed download: GET it without a token.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedDownload {
    /// The URL.
    pub url: String,
    /// When the signature expires.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// A campaign and the upload that it waits for.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignUpload {
    /// The campaign's id.
    pub id: String,
    /// Its state.
    #[schema(value_type = CampaignStateName, example = "awaiting_upload")]
    pub state: &'static str,
    /// The upload of the file.
    pub upload: SignedUpload,
    /// The upload of the exclude list, if there is one; nothing is sent before it has been uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_upload: Option<SignedUpload>,
}
