// The same telemetry as send.py, by the exporters of OpenTelemetry for JavaScript: node send.mjs KIND ENDPOINT SERVICE [gzip]
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, ValueType } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [kind, endpoint, service, compression] = process.argv.slice(2);

async function exporter(signal, name) {
  const found = await import(`@opentelemetry/exporter-${signal}-otlp-${kind}`);
  const url = kind === 'grpc' ? endpoint : `${endpoint}/v1/${signal === 'trace' ? 'traces' : signal}`;
  return new found[name]({ url, compression });
}

const resource = resourceFromAttributes({ 'service.name': service, 'host.name': 'box' });
const tracing = new BasicTracerProvider({
  resource, spanProcessors: [new SimpleSpanProcessor(await exporter('trace', 'OTLPTraceExporter'))],
});
const logging = new LoggerProvider({
  resource, processors: [new SimpleLogRecordProcessor({ exporter: await exporter('logs', 'OTLPLogExporter') })],
});
const reader = new PeriodicExportingMetricReader({ exporter: await exporter('metrics', 'OTLPMetricExporter') });
const metering = new MeterProvider({
  resource, readers: [reader],
  views: [
    { instrumentName: 'size', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
    { instrumentName: 'took', aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [1, 10] } } },
  ],
});

const tracer = tracing.getTracer('contract', '1.2.3');
const root = tracer.startSpan('root', { kind: SpanKind.SERVER }, ROOT_CONTEXT);
const inside = trace.setSpan(ROOT_CONTEXT, root);
const child = tracer.startSpan('child', {
  kind: SpanKind.CLIENT,
  attributes: { text: 'é😀"', whole: 9007199254740991, half: 0.5, yes: true, list: ['a', 'b'] },
  links: [{ context: root.spanContext(), attributes: { why: 'test' } }],
}, inside);
child.addEvent('happened', { n: 1 });
child.setStatus({ code: SpanStatusCode.ERROR, message: 'broke' });
child.end();
root.end();

logging.getLogger('contract', '1.2.3').emit({
  severityNumber: SeverityNumber.WARN, severityText: 'WARN', body: 'hello "é"', eventName: 'thing.happened',
  attributes: { n: 7, map: { in: { deep: [1, 'two', true] } } }, context: trace.setSpan(ROOT_CONTEXT, child),
});

const meter = metering.getMeter('contract', '1.2.3');
meter.createCounter('rows', { unit: '{row}', valueType: ValueType.INT }).add(5, { kind: 'a' });
const took = meter.createHistogram('took', { unit: 's' });
[0.5, 5, 50].forEach(value => took.record(value));
const size = meter.createHistogram('size');
[1, 2, 4].forEach(value => size.record(value));

await Promise.all([tracing.shutdown(), logging.shutdown(), metering.shutdown()]);
