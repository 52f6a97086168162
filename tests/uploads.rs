//! The presigned upload: accepted once, exactly as signed, until it expires.

use std::time::Duration;

use cloud::files::{SignedRequest, Upload};
use reqwest::{Client, StatusCode};
use uuid::Uuid;

use crate::harness::TestEnv;

const FILE: &[u8] = b"phone\n+5511987654321\n";

async fn sign_upload(env: &TestEnv, valid_for: Duration) -> SignedRequest {
    let id = Uuid::now_v7().to_string().parse().unwrap();
    let size = FILE.len() as u64;
    let signed = env.files.sign_upload(&id, Upload::File(0), size, valid_for);
    signed.await.unwrap()
}

async fn put(signed: &SignedRequest, body: &[u8]) -> StatusCode {
    let mut put = Client::new().put(&signed.url).body(body.to_vec());
    for (name, value) in &signed.headers {
        put = put.header(name, value);
    }
    put.send().await.unwrap().status()
}

/// The signed request with a part of its URL replaced.
fn with_url(signed: &SignedRequest, part: &str, replacement: &str) -> SignedRequest {
    assert!(signed.url.contains(part), "{}", signed.url);
    SignedRequest {
        url: signed.url.replace(part, replacement),
        ..signed.clone()
    }
}

/// The signed request with another value of a header, or without it.
fn with_header(signed: &SignedRequest, name: &str, value: Option<&str>) -> SignedRequest {
    let mut changed = signed.clone();
    assert!(changed.headers.remove(name).is_some());
    if let Some(value) = value {
        changed.headers.insert(name.to_owned(), value.to_owned());
    }
    changed
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn upload_is_accepted_once() {
    let env = TestEnv::new().await;
    let signed = sign_upload(&env, Duration::from_secs(3600)).await;
    let names: Vec<&str> = signed.headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["content-length", "content-type", "if-none-match"]);
    assert_eq!(put(&signed, FILE).await, StatusCode::OK);
    assert_eq!(put(&signed, FILE).await, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn upload_is_refused_unless_it_is_as_signed() {
    let env = TestEnv::new().await;
    let signed = sign_upload(&env, Duration::from_secs(3600)).await;
    let longer = [FILE, b"+34612345678\n"].concat();
    let other_length = with_header(&signed, "content-length", None);
    assert_eq!(put(&other_length, &longer).await, StatusCode::FORBIDDEN);

    let (_, signature) = signed.url.rsplit_once("X-Amz-Signature=").unwrap();
    let signature = signature.split('&').next().unwrap();
    let zeros = "0".repeat(signature.len());
    let (expiry, later) = ("X-Amz-Expires=3600", "X-Amz-Expires=36000");
    for (what, changed) in [
        (
            "type",
            with_header(&signed, "content-type", Some("text/html")),
        ),
        ("overwrite", with_header(&signed, "if-none-match", None)),
        ("key", with_url(&signed, "input.csv", "other.csv")),
        ("signature", with_url(&signed, signature, &zeros)),
        ("expiry", with_url(&signed, expiry, later)),
    ] {
        assert_eq!(
            put(&changed, FILE).await,
            StatusCode::FORBIDDEN,
            "another {what}"
        );
    }
    assert_eq!(put(&signed, FILE).await, StatusCode::OK);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn expired_url_is_refused() {
    let env = TestEnv::new().await;
    let signed = sign_upload(&env, Duration::from_secs(1)).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(put(&signed, FILE).await, StatusCode::FORBIDDEN);
}
