//! The application's files, as the build wrote them: the page, and `assets` with hashed names, each also compressed.

use std::borrow::Cow;

use rust_embed::Embed;

use crate::encoding::Encoding;

/// The built application. Without it the crate compiles, too: a test run needs no Node.
#[derive(Embed)]
#[folder = "dist"]
#[allow_missing = true]
struct Dist;

/// The page.
const PAGE: &str = "index.html";

/// Where everything else is.
const ASSETS: &str = "assets/";

/// A file to send.
#[derive(Debug)]
pub struct Asset {
    /// Its bytes, as they are sent.
    pub content: Cow<'static, [u8]>,
    /// How they are compressed.
    pub encoding: Option<Encoding>,
    /// Its media type.
    pub content_type: &'static str,
    /// Its entity tag, with the quotes; each variant has its own.
    pub etag: String,
    /// Whether it is the page, whose name stays the same when it changes.
    pub is_page: bool,
}

/// Whether the application was built before this program.
pub fn is_built() -> bool {
    Dist::get(PAGE).is_some()
}

/// The names of all files, without compressed variants.
pub fn names() -> impl Iterator<Item = String> {
    Dist::iter()
        .map(Cow::into_owned)
        .filter(|name| content_type(name).is_some())
}

/// The file of a path, in the first of these encodings that there is.
pub fn find(path: &str, encodings: &[Encoding]) -> Option<Asset> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let name = match name {
        "" => PAGE,
        name if name.starts_with(ASSETS) => name,
        _ => return None,
    };
    // A compressed variant has no media type of its own: it is not asked for by its name.
    let content_type = content_type(name)?;
    let compressed = encodings.iter().find_map(|&encoding| {
        let file = Dist::get(&format!("{name}.{}", encoding.extension()))?;
        Some((file, Some(encoding)))
    });
    let (file, encoding) = compressed.or_else(|| Some((Dist::get(name)?, None)))?;
    Some(Asset {
        etag: format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16])),
        content: file.data,
        encoding,
        content_type,
        is_page: name == PAGE,
    })
}

fn content_type(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_both_variants_and_they_are_smaller() {
        for name in names() {
            let path = match name.as_str() {
                PAGE => "/".to_owned(),
                name => format!("/{name}"),
            };
            let plain = find(&path, &[]).expect(&name);
            for encoding in [Encoding::Brotli, Encoding::Gzip] {
                let variant = find(&path, &[encoding]).expect(&name);
                assert_eq!(variant.encoding, Some(encoding), "{name}");
                assert!(variant.content.len() < plain.content.len(), "{name}");
                assert_ne!(variant.etag, plain.etag, "{name}");
            }
        }
    }

    #[test]
    fn variants_and_other_folders_cannot_be_asked_for() {
        for path in ["/index.html", "/index.html.br", "/other/x.js", "/assets/"] {
            assert!(find(path, &[]).is_none(), "{path}");
        }
        for name in names() {
            assert!(find(&format!("/{name}.br"), &[]).is_none(), "{name}");
        }
    }
}
