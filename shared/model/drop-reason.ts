/** Names of drop reasons, by the field's public numbers. The kernel's enum holds the same numbers (a test compares them). */
export const DROP_REASON_NAME: Readonly<Record<number, string>> = {
  132: 'Invalid source ip',
  133: 'Policy denied (no rule allows it)',
  134: 'Invalid packet',
  135: 'CT: truncated or invalid header',
  137: 'CT: unknown L4 protocol',
  139: 'Unsupported L3 protocol',
  140: 'Missed tail call',
  141: 'Error writing to packet',
  151: 'Stale or unroutable IP',
  155: 'CT: map insertion failed',
  157: 'IP fragmentation not supported',
  158: 'Service backend not found',
  160: 'No tunnel/encapsulation endpoint',
  166: 'Unsupported L2 protocol',
  167: 'No mapping for NAT masquerade',
  168: 'Unsupported protocol for NAT masquerade',
  169: 'FIB lookup failed',
  171: 'Invalid identity',
  174: 'Is a ClusterIP',
  175: 'First datagram fragment not found',
  181: 'Policy denied by denylist',
  196: 'TTL exceeded',
  202: 'Host datapath not ready',
  203: 'Endpoint policy program not available',
};

export const dropReasonName = (code: number): string => DROP_REASON_NAME[code] ?? `reason ${code}`;
