/** The same facts delivered unkindly: a fold of whole states must end in the same state each time. */
export const unkindly = <Fact>(facts: readonly Fact[], keyOf: (fact: Fact) => string): Readonly<Record<string, readonly Fact[]>> => ({
  asWritten: [...facts],
  everyFactTwice: facts.flatMap((fact) => [fact, fact]),
  replayedFromStart: [...facts, ...facts],
  keysReversed: [...new Set(facts.map(keyOf))].reverse().flatMap((key) => facts.filter((fact) => keyOf(fact) === key)),
  squashed: [...new Map(facts.map((fact) => [keyOf(fact), fact])).values()],
});
