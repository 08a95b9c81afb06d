/** Which flows a question means. Pure. */
import type { Flow, FlowQuery } from '@seine/node';

const means = ({ verdict, pod, fromPod, toPod }: NonNullable<FlowQuery['filter']>, flow: Flow): boolean =>
  (verdict === undefined || flow.verdict === verdict) &&
  (pod === undefined || flow.source.pod === pod || flow.destination.pod === pod) &&
  (fromPod === undefined || flow.source.pod === fromPod) &&
  (toPod === undefined || flow.destination.pod === toPod);

/** Oldest first; `last` counts those that the filter means. */
export const selectFlows = (flows: readonly Flow[], { since, last, filter }: FlowQuery): readonly Flow[] => {
  const sinceMs = since === undefined ? -Infinity : Date.parse(since);
  const meant = flows.filter((flow) => Date.parse(flow.time) >= sinceMs && (filter === undefined || means(filter, flow)));
  return last === undefined ? meant : meant.slice(Math.max(0, meant.length - last));
};
