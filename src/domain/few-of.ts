/** The first few of a list in one line, and how many more there are; `null` of none. */
export function fewOf(texts: readonly string[], shown = 3): string | null {
  const more = texts.length - shown;
  return texts.length === 0 ? null : [...texts.slice(0, shown), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}
