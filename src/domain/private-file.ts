/** Why a file must not hold a secret, in words that go on after "must be" or "allowed:"; `null` if only its owner can open it. */
export function opennessOf(path: string, mode: number): string | null {
  if ((mode & 0o077) === 0) {
    return null;
  }
  const octal = `0${(mode & 0o777).toString(8)}`;
  return `a file that its owner alone can open; it has mode ${octal}: chmod 600 ${asShellWord(path)}`;
}

function asShellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
