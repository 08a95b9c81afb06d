/** The OpenTelemetry SDK with an OTLP exporter; imported only where an endpoint is configured (OTEL_EXPORTER_OTLP_ENDPOINT). */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

/** @returns what flushes and ends it */
export const startTraceSdk = (process: string, node: string): (() => Promise<void>) => {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.namespace': 'seine', 'service.name': `seine-${process}`, 'host.name': node }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  return () => provider.shutdown();
};
