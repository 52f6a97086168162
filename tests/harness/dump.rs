//! Everything that an environment stores, as text: to look for what must not be there.

use super::TestEnv;

const TABLES: [&str; 5] = [
    "CampaignsTable",
    "MessagesTable",
    "CallbacksTable",
    "ContactsTable",
    "InboxTable",
];

impl TestEnv {
    /// The items of every table and every version of every object, one a line.
    pub(crate) async fn dump(&self) -> String {
        let mut dump = String::new();
        for resource in TABLES {
            self.dump_table(resource, &mut dump).await;
        }
        self.dump_bucket(&mut dump).await;
        dump
    }

    async fn dump_table(&self, resource: &str, dump: &mut String) {
        let scan = self.aws.dynamodb.scan().table_name(self.table(resource));
        let mut items = scan.into_paginator().items().send();
        while let Some(item) = items.next().await {
            dump.push_str(&format!("{resource} {:?}\n", item.unwrap()));
        }
    }

    async fn dump_bucket(&self, dump: &mut String) {
        let list = self.aws.s3.list_object_versions().bucket(&self.name);
        for version in list.send().await.unwrap().versions.unwrap_or_default() {
            let (key, id) = (version.key.unwrap(), version.version_id);
            let get = self.aws.s3.get_object().bucket(&self.name).key(&key);
            let object = get.set_version_id(id).send().await.unwrap();
            let body = object.body.collect().await.unwrap().to_vec();
            dump.push_str(&format!("{key} {}\n", String::from_utf8_lossy(&body)));
        }
    }
}
