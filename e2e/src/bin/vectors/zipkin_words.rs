//! Zipkin's spans in one form, whatever they were recorded in: version 2's JSON, normalised. What version 1 and protobuf say
//! is turned into it here from the recordings' own words, so that a decoder is not held against itself.

use serde_json::{Map, Value, json};

use crate::jaeger_json::without_empty;

/// A span of version 2 in Zipkin's normal form: ids padded, names in lower case, annotations by time, nothing that says nothing.
pub(crate) fn normal(span: &Value) -> Value {
    let mut span = without_empty(span);
    for member in ["traceId", "id", "parentId"] {
        if let Some(Value::String(id)) = span.get_mut(member) {
            let digits = if id.len() > 16 { 32 } else { 16 };
            *id = format!("{id:0>digits$}");
        }
    }
    if let Some(name) = span.get_mut("name") {
        lower(name);
    }
    for member in ["localEndpoint", "remoteEndpoint"] {
        if let Some(name) = span.get_mut(member).and_then(|endpoint| endpoint.get_mut("serviceName")) {
            lower(name);
        }
    }
    if let Some(Value::Array(annotations)) = span.get_mut("annotations") {
        annotations.sort_by_key(|annotation| (annotation["timestamp"].as_u64(), annotation["value"].to_string()));
    }
    if let Some(members) = span.as_object_mut() {
        // False and an empty object are what is meant where a member is missing.
        members.retain(|_, value| *value != json!(false) && *value != json!({}));
    }
    span
}

/// A span of `zipkin.proto3` as protobuf's JSON has it: ids and addresses in base64, numbers of 64 bits as texts.
pub(crate) fn of_proto3(span: &Value) -> Value {
    let mut words = span.clone();
    for member in ["traceId", "id", "parentId"] {
        if let Some(id) = span[member].as_str() {
            words[member] = json!(bytes(id).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
    }
    for member in ["timestamp", "duration"] {
        words[member] = number(&span[member]);
    }
    for member in ["localEndpoint", "remoteEndpoint"] {
        if let Some(v4) = span[member]["ipv4"].as_str() {
            words[member]["ipv4"] = json!(bytes(v4).iter().map(u8::to_string).collect::<Vec<_>>().join("."));
        }
        if let Some(v6) = span[member]["ipv6"].as_str() {
            words[member]["ipv6"] = <[u8; 16]>::try_from(bytes(v6)).map_or(Value::Null, address);
        }
    }
    if let Some(annotations) = words.get_mut("annotations").and_then(Value::as_array_mut) {
        for annotation in annotations {
            annotation["timestamp"] = number(&annotation["timestamp"]);
        }
    }
    normal(&words)
}

/// A span of version 1, in the names of its JSON or of its thrift, that tells of one side of a call or of none: `cs` and `cr`
/// are a client, `sr` and `ss` a server.
pub(crate) fn of_v1(span: &Value) -> Value {
    let annotations = || list(span, &["annotations"]);
    let at = |value: &str| annotations().find(|annotation| annotation["value"] == value);
    let (begin, end, kind) = match (at("cs"), at("sr")) {
        (Some(begin), _) => (Some(begin), at("cr"), json!("CLIENT")),
        (None, Some(begin)) => (Some(begin), at("ss"), json!("SERVER")),
        (None, None) => (None, None, Value::Null),
    };
    let mut tags = Map::new();
    let mut remote = Value::Null;
    let mut local = begin.map(endpoint);
    for binary in list(span, &["binaryAnnotations", "binary_annotations"]) {
        let key = binary["key"].as_str().unwrap_or_default();
        if matches!(key, "sa" | "ca") && (binary["value"] == true || binary["type"] == 0) {
            remote = endpoint(binary);
        } else {
            tags.insert(key.to_owned(), binary["value"].clone());
            local.get_or_insert_with(|| endpoint(binary));
        }
    }
    let others =
        annotations().filter(|annotation| !matches!(annotation["value"].as_str(), Some("cs" | "cr" | "sr" | "ss")));
    let others: Vec<_> = others.map(|a| json!({"timestamp": a["timestamp"], "value": a["value"]})).collect();
    let told = |member: &str| span.get(member).filter(|value| !value.is_null()).cloned();
    let time = |annotation: Option<&Value>| annotation.and_then(|annotation| annotation["timestamp"].as_u64());
    let between = time(end).zip(time(begin)).map(|(end, begin)| json!(end - begin));
    let high = told("trace_id_high").and_then(|high| high.as_str().map(str::to_owned)).unwrap_or_default();
    let low = told("traceId").or_else(|| told("trace_id")).unwrap_or_default();
    normal(&json!({
        "traceId": format!("{high}{}", low.as_str().unwrap_or_default()),
        "id": span["id"],
        "parentId": told("parentId").or_else(|| told("parent_id")),
        "name": span["name"],
        "kind": kind,
        "timestamp": told("timestamp").or_else(|| time(begin).map(|begin| json!(begin))),
        "duration": told("duration").or(between),
        "localEndpoint": local,
        "remoteEndpoint": remote,
        "annotations": others,
        "tags": tags,
        // A server that was sent its span's id has no time of its own to tell.
        "shared": kind == "SERVER" && told("timestamp").is_none(),
        "debug": span["debug"],
    }))
}

fn endpoint(of: &Value) -> Value {
    let host = if of["endpoint"].is_null() { &of["host"] } else { &of["endpoint"] };
    let name = if host["serviceName"].is_null() { &host["service_name"] } else { &host["serviceName"] };
    let v4 = match host["ipv4"].as_u64() {
        Some(0) => Value::Null,
        Some(bits) => json!((bits as u32).to_be_bytes().map(|byte| byte.to_string()).join(".")),
        None => host["ipv4"].clone(),
    };
    json!({"serviceName": name, "ipv4": v4, "ipv6": host["ipv6"], "port": host["port"]})
}

fn list<'a>(span: &'a Value, names: &[&str]) -> impl Iterator<Item = &'a Value> {
    names.iter().find_map(|name| span[*name].as_array()).into_iter().flatten()
}

fn lower(value: &mut Value) {
    if let Value::String(text) = value {
        *text = text.to_lowercase();
    }
}

fn number(value: &Value) -> Value {
    value.as_str().and_then(|text| text.parse::<u64>().ok()).map_or_else(|| value.clone(), |number| json!(number))
}

fn address(v6: [u8; 16]) -> Value {
    json!(std::net::Ipv6Addr::from(v6).to_string())
}

fn bytes(base64: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![];
    let (mut bits, mut count) = (0u32, 0);
    for digit in base64.bytes() {
        let Some(value) = DIGITS.iter().position(|&found| found == digit) else { break };
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
