/** A number with its noun: `1,024 messages`. The catalogues get it, so that their files share no code with the first load. */
export type Count = (n: number, one: string, other: string) => string;
