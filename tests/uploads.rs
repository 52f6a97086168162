//! The presigned PUT, and every way of tampering with it.

use std::time::Duration;

use cloud::files::SignedRequest;
use reqwest::{Client, StatusCode};
use uuid::Uuid;

use crate::harness::TestEnv;

const FILE: &[u8] = b"phone\n+5511987654321\n";

async fn put(
    signed: &SignedRequest,
    body: &[u8],
    change: impl Fn(&str, &str) -> Option<String>,
) -> StatusCode {
    let mut put = Client::new().put(&signed.url).body(body.to_vec());
    for (name, value) in &signed.headers {
        if let Some(value) = change(name, value) {
            put = put.header(name, value);
        }
    }
    put.send().await.unwrap().status()
}

fn as_signed(_: &str, value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn an_upload_is_taken_once_and_only_as_signed() {
    let world = TestEnv::new().await;
    let id = Uuid::now_v7().to_string().parse().unwrap();
    let hour = Duration::from_secs(3600);
    let signed = world
        .files
        .sign_upload(&id, cloud::files::Upload::File(0), FILE.len() as u64, hour)
        .await
        .unwrap();
    let names: Vec<&str> = signed.headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["content-length", "content-type", "if-none-match"]);

    let longer = [FILE, b"+34612345678\n"].concat();
    let without_length =
        |name: &str, value: &str| (name != "content-length").then(|| value.to_owned());
    assert_eq!(
        put(&signed, &longer, without_length).await,
        StatusCode::FORBIDDEN,
        "another length"
    );
    let other_type = |name: &str, value: &str| {
        Some(if name == "content-type" {
            "text/html".into()
        } else {
            value.into()
        })
    };
    assert_eq!(
        put(&signed, FILE, other_type).await,
        StatusCode::FORBIDDEN,
        "another type"
    );
    let overwrite = |name: &str, value: &str| (name != "if-none-match").then(|| value.to_owned());
    assert_eq!(
        put(&signed, FILE, overwrite).await,
        StatusCode::FORBIDDEN,
        "may overwrite"
    );
    let elsewhere = SignedRequest {
        url: signed.url.replace("input.csv", "other.csv"),
        ..signed.clone()
    };
    assert_eq!(
        put(&elsewhere, FILE, as_signed).await,
        StatusCode::FORBIDDEN,
        "another key"
    );
    let (url, signature) = signed.url.rsplit_once("X-Amz-Signature=").unwrap();
    let zeros = "0".repeat(signature.split('&').next().unwrap().len());
    let forged = SignedRequest {
        url: format!("{url}X-Amz-Signature={zeros}"),
        ..signed.clone()
    };
    assert_eq!(
        put(&forged, FILE, as_signed).await,
        StatusCode::FORBIDDEN,
        "another signature"
    );
    let longer_valid = SignedRequest {
        url: signed
            .url
            .replace("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        ..signed.clone()
    };
    assert_eq!(
        put(&longer_valid, FILE, as_signed).await,
        StatusCode::FORBIDDEN,
        "another expiry"
    );

    assert_eq!(put(&signed, FILE, as_signed).await, StatusCode::OK);
    assert_eq!(
        put(&signed, FILE, as_signed).await,
        StatusCode::PRECONDITION_FAILED,
        "a second upload"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn an_expired_url_is_refused() {
    let world = TestEnv::new().await;
    let id = Uuid::now_v7().to_string().parse().unwrap();
    let signed = world
        .files
        .sign_upload(
            &id,
            cloud::files::Upload::File(0),
            FILE.len() as u64,
            Duration::from_secs(1),
        )
        .await
        .unwrap();
    // The one thing waited for by the clock: the clock itself.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(put(&signed, FILE, as_signed).await, StatusCode::FORBIDDEN);
}
