//! Registering schemas.

use std::sync::Arc;

use trailgate_schemas::{AUDIT_EVENT_SCHEMA, SchemaId};
use trailgate_topics::{Backbone, RegistryError};

use super::{fresh, within};

fn schema(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "thing", "fields": [{fields}]}}"#)
}

pub async fn only_fully_compatible_schemas_are_registered(backbone: &Arc<dyn Backbone>) {
    let (registry, subject) = (backbone.registry(), format!("{}-value", fresh()));
    let register = async |fields: &str| within(registry.register(&subject, &schema(fields))).await;
    let (id, kind) =
        (r#"{"name": "id", "type": "string"}"#, r#"{"name": "kind", "type": "string"}"#);
    let node = r#"{"name": "node", "type": ["null", "string"], "default": null}"#;

    let first = register(&format!("{id}, {kind}")).await.unwrap();
    assert_eq!(register(&format!("{id},{kind}")).await, Ok(first), "white space does not matter");
    let second = register(&format!("{id}, {kind}, {node}")).await.unwrap();
    assert_ne!(first, second);

    let refused = Err(RegistryError::Incompatible);
    let count = r#"{"name": "count", "type": "long"}"#;
    assert_eq!(register(&format!("{id}, {kind}, {count}")).await, refused, "no default");
    assert_eq!(register(&format!("{id}, {node}")).await, refused, "an old reader needs kind");
    assert_eq!(register(&format!("{id}, {}", kind.replace("string", "long"))).await, refused);
    let kind_or_none = kind.replace(r#""string""#, r#"["null", "string"]"#);
    assert_eq!(
        register(&format!("{id}, {kind_or_none}, {node}")).await,
        refused,
        "none is no string"
    );
    // The latest version would do; one before it would not.
    let extra = r#"{"name": "extra", "type": "long", "default": 0}"#;
    register(&format!("{id}, {kind}, {extra}")).await.unwrap();
    let other_node = r#"{"name": "node", "type": "long", "default": 0}"#;
    assert_eq!(register(&format!("{id}, {kind}, {extra}, {other_node}")).await, refused);

    let text = within(registry.schema(second)).await.unwrap();
    let document = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(document(&text), document(&schema(&format!("{id}, {kind}, {node}"))));
    let unknown = SchemaId(2_000_000_000);
    assert_eq!(within(registry.schema(unknown)).await, Err(RegistryError::Unknown(unknown)));

    let other = format!("{}-value", fresh());
    let ours = within(registry.register(&other, AUDIT_EVENT_SCHEMA)).await.unwrap();
    let (again, third) = (within(registry.register(&other, AUDIT_EVENT_SCHEMA)), fresh());
    assert_eq!(again.await, Ok(ours));
    let elsewhere = within(registry.register(&third, AUDIT_EVENT_SCHEMA)).await;
    assert_eq!(elsewhere, Ok(ours), "one document has one id under every subject");
}
