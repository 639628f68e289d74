//! What answers a request: `ExportTraceServiceResponse`, and `google.rpc.Status` where it failed.

use super::decode_json::{Members, finish};
use super::encode_json::JsonObject;
use super::error::{OtlpError, Result};
use crate::Limits;
use crate::json::Reader as JsonReader;
use crate::names::lossy;
use crate::protobuf::{BYTES, Reader, VARINT, fields, key, push_message, push_text_field, push_varint_field};
use crate::zipkin_v2::{push_number, push_text};

/// `ExportTraceServiceResponse.partial_success`. All empty: everything was taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartialSuccess {
    /// How many spans were refused.
    pub rejected_spans: u64,
    /// Why, or a warning where none were.
    pub error_message: String,
}

/// `google.rpc.Status` without its details: the body of an OTLP/HTTP answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RpcStatus {
    /// gRPC's code: 3 is INVALID_ARGUMENT, 8 RESOURCE_EXHAUSTED, 14 UNAVAILABLE.
    pub code: u32,
    /// For developers.
    pub message: String,
}

/// Appends an `ExportTraceServiceResponse`; one without a fault is the two bytes that Jaeger 1.76 answers.
pub fn encode_response_protobuf(answer: &PartialSuccess, out: &mut Vec<u8>) {
    push_message(out, 1, answer.error_message.len(), |out| {
        if answer.rejected_spans != 0 {
            push_varint_field(out, 1, answer.rejected_spans);
        }
        if !answer.error_message.is_empty() {
            push_text_field(out, 2, &answer.error_message);
        }
    });
}

/// Appends an `ExportTraceServiceResponse` in JSON; one without a fault is `{"partialSuccess":{}}`, as Jaeger 1.76 answers.
pub fn encode_response_json(answer: &PartialSuccess, out: &mut Vec<u8>) {
    let mut response = JsonObject::begin(out);
    let mut partial = JsonObject::begin(response.name("partialSuccess"));
    if answer.rejected_spans != 0 {
        let out = partial.name("rejectedSpans");
        out.push(b'"');
        push_number(out, answer.rejected_spans);
        out.push(b'"');
    }
    if !answer.error_message.is_empty() {
        push_text(partial.name("errorMessage"), &answer.error_message);
    }
    partial.end();
    response.end();
}

/// Reads an `ExportTraceServiceResponse`.
pub fn decode_response_protobuf(body: &[u8]) -> Result<PartialSuccess> {
    const PARTIAL_SUCCESS: u32 = key(1, BYTES);
    const REJECTED: u32 = key(1, VARINT);
    const MESSAGE: u32 = key(2, BYTES);
    let mut answer = PartialSuccess::default();
    let mut response = Reader::new(body);
    while let Some(key) = response.key()? {
        if key != PARTIAL_SUCCESS {
            response.skip_unknown(key, fields(&[1]))?;
            continue;
        }
        let mut partial = response.message()?;
        while let Some(key) = partial.key()? {
            match key {
                REJECTED => answer.rejected_spans = partial.varint()?,
                MESSAGE => answer.error_message = partial.text()?.into_owned(),
                _ => partial.skip_unknown(key, fields(&[1, 2]))?,
            }
        }
    }
    Ok(answer)
}

/// Reads an `ExportTraceServiceResponse` in JSON.
pub fn decode_response_json(body: &[u8]) -> Result<PartialSuccess> {
    let text = lossy(body);
    let limits = Limits::default();
    let mut reader = JsonReader::new(&text, &limits);
    let mut answer = PartialSuccess::default();
    reader.members(|reader, name| match name {
        "partialSuccess" | "partial_success" => reader.members(|reader, name| {
            match name {
                "rejectedSpans" | "rejected_spans" => {
                    let rejected = reader.next_long()?;
                    let not_negative = OtlpError::JsonValue { path: reader.path(), expected: "a count" };
                    answer.rejected_spans = u64::try_from(rejected).map_err(|_| not_negative)?;
                }
                "errorMessage" | "error_message" => answer.error_message = reader.next_string()?.to_owned(),
                _ => reader.skip_value()?,
            }
            Ok(())
        }),
        _ => Ok(reader.skip_value()?),
    })?;
    finish(&reader)?;
    Ok(answer)
}

/// Appends a `google.rpc.Status`.
pub fn encode_status_protobuf(status: &RpcStatus, out: &mut Vec<u8>) {
    if status.code != 0 {
        push_varint_field(out, 1, status.code.into());
    }
    if !status.message.is_empty() {
        push_text_field(out, 2, &status.message);
    }
}

/// Appends a `google.rpc.Status` in JSON: `{"code":3,"message":"…"}`.
pub fn encode_status_json(status: &RpcStatus, out: &mut Vec<u8>) {
    let mut object = JsonObject::begin(out);
    if status.code != 0 {
        push_number(object.name("code"), status.code.into());
    }
    if !status.message.is_empty() {
        push_text(object.name("message"), &status.message);
    }
    object.end();
}

/// A number below zero is no code, and read as UNKNOWN, as gRPC asks for.
fn code_of(number: i32) -> u32 {
    const UNKNOWN: u32 = 2;
    u32::try_from(number).unwrap_or(UNKNOWN)
}

/// Reads a `google.rpc.Status`; its details are not read.
pub fn decode_status_protobuf(body: &[u8]) -> Result<RpcStatus> {
    const CODE: u32 = key(1, VARINT);
    const MESSAGE: u32 = key(2, BYTES);
    let mut status = RpcStatus::default();
    let mut reader = Reader::new(body);
    while let Some(key) = reader.key()? {
        match key {
            CODE => status.code = code_of(reader.varint()? as i32),
            MESSAGE => status.message = reader.text()?.into_owned(),
            _ => reader.skip_unknown(key, fields(&[1, 2]))?,
        }
    }
    Ok(status)
}

/// Reads a `google.rpc.Status` in JSON; its details are not read.
pub fn decode_status_json(body: &[u8]) -> Result<RpcStatus> {
    let text = lossy(body);
    let limits = Limits::default();
    let mut reader = JsonReader::new(&text, &limits);
    let mut status = RpcStatus::default();
    reader.members(|reader, name| {
        match name {
            "code" => status.code = code_of(reader.next_int()?),
            "message" => status.message = reader.next_string()?.to_owned(),
            _ => reader.skip_value()?,
        }
        Ok(())
    })?;
    finish(&reader)?;
    Ok(status)
}
