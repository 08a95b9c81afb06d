/** A number or string that must not be mixed with another of the same JavaScript type. */
export type Branded<T, Name extends string> = T & { readonly __brand: Name };
