// Zipkin's own Java reporter: two spans to ADDRESS in ENCODING. java Report ADDRESS ENCODING SERVICE
import zipkin2.Endpoint;
import zipkin2.Span;
import zipkin2.reporter.AsyncReporter;
import zipkin2.reporter.Encoding;
import zipkin2.reporter.SpanBytesEncoder;
import zipkin2.reporter.urlconnection.URLConnectionSender;

public class Report {
  public static void main(String[] arguments) throws Exception {
    SpanBytesEncoder encoder = SpanBytesEncoder.valueOf(arguments[1]);
    long now = System.currentTimeMillis() * 1000 - 5_000_000;
    Endpoint local = Endpoint.newBuilder().serviceName(arguments[2]).ip("127.0.0.1").port(8080).build();
    Endpoint remote = Endpoint.newBuilder().serviceName("db").ip("2001:db8::c001").port(3306).build();
    Span root = Span.newBuilder().traceId("463ac35c9f6413ad48485a3953bb6124").id("a2fb4a1d1a96d312").name("get /cart")
        .kind(Span.Kind.SERVER).timestamp(now).duration(200_000).localEndpoint(local)
        .addAnnotation(now + 1_000, "cache miss").putTag("http.path", "/cart").build();
    Span query = Span.newBuilder().traceId(root.traceId()).parentId(root.id()).id("b2fb4a1d1a96d312").name("select")
        .kind(Span.Kind.CLIENT).timestamp(now + 2_000).duration(100_000).localEndpoint(local).remoteEndpoint(remote)
        .putTag("error", "ключ").build();

    URLConnectionSender sender = URLConnectionSender.newBuilder().endpoint(arguments[0]).encoding(encoder.encoding()).build();
    try (AsyncReporter<Span> reporter = AsyncReporter.builder(sender).build(encoder)) {
      reporter.report(root);
      reporter.report(query);
      reporter.flush();
    }
    sender.close();
  }
}
