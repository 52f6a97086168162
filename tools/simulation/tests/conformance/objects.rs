//! S3 and Secrets Manager.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use cloud::files::{Files, Upload, input_key, rejects_key};
use cloud::multipart::MultipartWriter;
use tokio::io::AsyncReadExt;

use crate::case;
use crate::target::{Results, Target, campaign_id};

fn files(target: &Target) -> Files {
    Files::new(cloud::aws::s3(&target.config), target.bucket.clone())
}

case!(
    objects,
    read_and_write_objects,
    [
        "missing: None",
        "no version: true",
        "exists: false",
        "cached: Some(\"one\")",
        "exists: true",
        "latest: \"second\"",
        "no such version: true",
        "kept: \"third\"",
        "versions: 2",
        "gone: false",
    ]
);

async fn read_and_write_objects(target: &Target) -> Results {
    let (files, id) = (files(target), campaign_id());
    let client = cloud::aws::s3(&target.config);
    let key = input_key(&id, Upload::File(0));
    let put = async |text: &'static str| {
        let put = client.put_object().bucket(&target.bucket).key(&key);
        let put = put.body(ByteStream::from_static(text.as_bytes()));
        let version = put.send().await.expect("put").version_id;
        version.expect("version")
    };
    let exists = async || {
        let exists = files.upload_exists(&id, Upload::File(0)).await;
        format!("exists: {}", exists.expect("exists"))
    };
    let read = async || {
        let opened = files.open_upload(&id, Upload::File(0)).await;
        let mut reader = opened.expect("opened").expect("an upload");
        let mut text = String::new();
        reader.read_to_string(&mut text).await.expect("read");
        format!("{text:?}")
    };
    let missing = files.read_object("nothing").await.expect("read");
    let mut results = vec![format!("missing: {missing:?}")];
    let latest_version = async |key: &str| {
        let head = client.head_object().bucket(&target.bucket).key(key);
        head.send().await.ok().and_then(|object| object.version_id)
    };
    let version = latest_version("nothing").await;
    results.push(format!("no version: {}", version.is_none()));
    results.push(exists().await);
    files
        .write_cache("a b", b"one".to_vec())
        .await
        .expect("written");
    let cached = files.read_cache("a b").await.expect("read");
    let cached = cached.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    results.push(format!("cached: {cached:?}"));
    put("first").await;
    let second = put("second").await;
    results.push(exists().await);
    results.push(format!("latest: {}", read().await));
    let latest = latest_version(&key).await;
    assert_eq!(latest.as_ref(), Some(&second));
    let other = files.open_upload(&id, Upload::File(1)).await;
    let is_missing = other.expect("opened").is_none();
    results.push(format!("no such version: {is_missing}"));
    put("third").await;
    let kept = files.delete_older_versions(&key, Some(second)).await;
    kept.expect("deleted");
    results.push(format!("kept: {}", read().await));
    let list = client.list_object_versions().bucket(&target.bucket);
    let left = list.prefix(&key).send().await.expect("listed");
    results.push(format!("versions: {}", left.versions().len()));
    files.delete_versions(&key).await.expect("deleted");
    let exists = files.upload_exists(&id, Upload::File(0)).await;
    results.push(format!("gone: {}", exists.expect("exists")));
    results
}

case!(
    conditions,
    put_under_conditions,
    [
        "new: ok",
        "exists: PreconditionFailed",
        "deleted: ok",
        "range: 206 \"bcd\" bytes 1-3/6",
        "marker: true",
    ]
);

async fn put_under_conditions(target: &Target) -> Results {
    let client = cloud::aws::s3(&target.config);
    let put = async |what: &str| {
        let put = client.put_object().bucket(&target.bucket).key("a/b c+d");
        let put = put
            .if_none_match("*")
            .body(ByteStream::from_static(b"abcdef"));
        match put.send().await {
            Ok(_) => format!("{what}: ok"),
            Err(error) => format!("{what}: {}", error.code().unwrap_or_default()),
        }
    };
    let mut results = vec![put("new").await, put("exists").await];
    let delete = client.delete_object().bucket(&target.bucket).key("a/b c+d");
    delete.send().await.expect("deleted");
    results.push(put("deleted").await);
    let get = client.get_object().bucket(&target.bucket).key("a/b c+d");
    let part = get.range("bytes=1-3").send().await.expect("part");
    let range = part.content_range.clone().unwrap_or_default();
    let bytes = part.body.collect().await.expect("read").to_vec();
    let text = String::from_utf8_lossy(&bytes);
    results.push(format!("range: 206 {text:?} {range}"));
    let list = client.list_object_versions().bucket(&target.bucket);
    let listed = list.prefix("a/b").send().await.expect("listed");
    let is_complete = listed.versions().len() == 2 && listed.delete_markers().len() == 1;
    results.push(format!("marker: {is_complete}"));
    results
}

case!(
    multipart,
    write_in_parts,
    ["small: 3", "large: 13000000", "unfinished: None"]
);

async fn write_in_parts(target: &Target) -> Results {
    let (files, id) = (files(target), campaign_id());
    let write = async |key: String, size: usize| {
        let mut writer = MultipartWriter::new(&files, key.clone());
        for chunk in vec![b'x'; size].chunks(1_000_000) {
            writer.write(chunk).await.expect("written");
        }
        writer.finish().await.expect("finished");
        let bytes = files.read_object(&key).await.expect("read");
        bytes.map_or(0, |bytes| bytes.len())
    };
    let small = write(rejects_key(&id, 0), 3).await;
    let large = write(rejects_key(&id, 1), 13_000_000).await;
    let key = rejects_key(&id, 2);
    let mut writer = MultipartWriter::new(&files, key.clone());
    writer.write(&vec![b'x'; 6_000_000]).await.expect("written");
    drop(writer);
    let unfinished = files.read_object(&key).await.expect("read");
    let unfinished = unfinished.map(|bytes| bytes.len());
    vec![
        format!("small: {small}"),
        format!("large: {large}"),
        format!("unfinished: {unfinished:?}"),
    ]
}
