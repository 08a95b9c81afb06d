export * from './codec.ts';
export * from './echo.ts';
export * from './generated.ts';
export * from './sum.ts';
import { MAPS } from './generated.ts';

export type MapName = keyof typeof MAPS;
export type KeyRow<M extends MapName> = import('./codec.ts').Row<(typeof MAPS)[M]['key']>;
export type ValueRow<M extends MapName> = import('./codec.ts').Row<(typeof MAPS)[M]['value']>;

/** Maps that user space owns: desired state covers exactly these. */
export type FoldedMapName = { [M in MapName]: (typeof MAPS)[M]['kernelWritten'] extends false ? M : never }[MapName];
export const FOLDED_MAPS = (Object.keys(MAPS) as MapName[]).filter((name): name is FoldedMapName => !MAPS[name].kernelWritten); // Object.keys widens; MAPS is closed
