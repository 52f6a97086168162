//! The account: its templates, in pages, and its phone number.

use serde_json::{Value, json};

/// The data behind the answers to management calls.
#[derive(Debug)]
pub struct Account {
    /// Items as Meta lists them.
    pub templates: Vec<Value>,
    /// Management calls so far.
    pub call_count: u64,
}

impl Default for Account {
    /// The templates that the README and `cargo xtask demo` use.
    fn default() -> Self {
        let url = |label: &str, url: &str| json!({"type": "URL", "text": label, "url": url});
        let body = |text: &str| json!({"type": "BODY", "text": text});
        let templates = vec![
            template(
                "hello_world",
                "en_US",
                "UTILITY",
                json!([body("Welcome and congratulations!")]),
            ),
            template(
                "order_update",
                "en",
                "UTILITY",
                json!([
                    body("Hello {{1}}, your order over {{2}} is on its way."),
                    {"type": "BUTTONS", "buttons": [url("Track", "https://shop.example/orders/{{1}}")]},
                ]),
            ),
            template(
                "winter_sale",
                "en",
                "MARKETING",
                json!([
                    {"type": "HEADER", "format": "IMAGE"},
                    body("Dear {{1}}, everything is half the price until Sunday."),
                    {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Stop"}]},
                ]),
            ),
        ];
        Self {
            templates,
            call_count: 0,
        }
    }
}

fn template(name: &str, language: &str, category: &str, components: Value) -> Value {
    json!({"id": format!("{name}-{language}"), "name": name, "language": language, "status": "APPROVED",
        "category": category, "parameter_format": "POSITIONAL", "components": components})
}

impl Account {
    /// One page of at most `limit` templates, from the cursor `after` on.
    pub fn template_page(&mut self, limit: usize, after: Option<&str>) -> Value {
        self.call_count += 1;
        let start = after
            .and_then(|after| after.parse().ok())
            .unwrap_or(0usize)
            .min(self.templates.len());
        let end = (start + limit.max(1)).min(self.templates.len());
        let mut paging =
            json!({"cursors": {"before": start.to_string(), "after": end.to_string()}});
        if end < self.templates.len() {
            paging["next"] = json!("https://graph.facebook.com/next");
        }
        json!({"data": self.templates[start..end], "paging": paging})
    }

    /// The phone number with the account's tier, such as `TIER_2K`, and Meta's rating, such as `GREEN`.
    pub fn phone_number(&mut self, id: &str, tier: &str, quality: &str) -> Value {
        self.call_count += 1;
        json!({
            "id": id,
            "display_phone_number": "+1 555-0100",
            "verified_name": "Simulated business",
            "quality_rating": quality,
            "throughput": {"level": "STANDARD"},
            "status": "CONNECTED",
            "whatsapp_business_manager_messaging_limit": tier,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_page_has_no_next_page() {
        let mut account = Account::default();
        let first = account.template_page(2, None);
        assert_eq!(first["data"].as_array().map(Vec::len), Some(2));
        assert!(first["paging"]["next"].is_string());
        let last = account.template_page(2, first["paging"]["cursors"]["after"].as_str());
        assert_eq!(last["data"][0]["name"], "winter_sale");
        assert!(last["paging"].get("next").is_none());
        assert_eq!(account.call_count, 2);
    }
}
