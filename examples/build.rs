//! Writes the client and the server of `shop.Stock`, as `tonic-prost-build` would from a `.proto` file; that needs `protoc`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let look = Method::builder()
        .name("look")
        .route_name("Look")
        .input_type("crate::LookRequest")
        .output_type("crate::LookReply")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let stock = Service::builder().package("shop").name("Stock").method(look).build();
    Builder::new().compile(&[stock]);
}
