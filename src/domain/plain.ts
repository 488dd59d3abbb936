/** Names that strangers have chosen are text and nothing else, on a terminal too: control characters and turns of the direction become blanks. */
export function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]+/gu, ' ');
}
