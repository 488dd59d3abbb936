// A job that was left running in a guest: processes of the runner's user, without sudo, and what is kept to see that they came to nothing.

import type { Guest } from './index.ts';

export const USER = 'github-runner';
const HOME = `/home/${USER}`;
/** A program of the user's own, at hand for everything that somebody else might run: it writes down as whom. */
export const PROGRAM = `${HOME}/program`;
/** A folder of root's with all that a runner's directory has, to be given away. */
export const BAIT = '/etc/bait';

export interface Attacker {
  /** Runs a script as the user; rejects unless it ends well. */
  does(script: string): Promise<string>;
  /** Begins a program of perl's as the user, to be ended by `end`; returns once it has begun. */
  goesOn(program: string): Promise<void>;
  /** Begins to put links in the place of these, and the files back, thousands of times. */
  swaps(links: readonly (readonly [path: string, target: string])[]): Promise<void>;
  /** Begins to search the environment, the command line and the memory of every process for registration tokens. */
  searchesForTokens(): Promise<void>;
  /** Ends all that the user runs, but for the runner itself. */
  end(): Promise<void>;
  /** The user ids, one a line, that its programs ran under since it was asked last; the user's own is left out. */
  ranAs(): Promise<string>;
  /** All that looked like a registration token. */
  tokens(): Promise<readonly string[]>;
  /** Those of the texts that the user finds in files. */
  findsInFiles(texts: readonly string[]): Promise<readonly string[]>;
  /** Owners, modes and contents of what is root's, a line each, but for units of runners. */
  filesOfRoot(): Promise<readonly string[]>;
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param directory of a runner, which the bait is a copy of */
export async function attackerIn(guest: Guest, directory: string): Promise<Attacker> {
  await guest.must(`rm -f /etc/sudoers.d/${USER}
    cp -a ${directory} ${BAIT} && chown -hR root: ${BAIT} && chmod -R go-w ${BAIT}
    echo secret >${BAIT}/.secret && chmod 600 ${BAIT}/.secret`);
  await guest.must(`cat >${PROGRAM} && chmod 755 ${PROGRAM}`, { user: USER, input: `#!/bin/bash\nid -u >>${HOME}/ran-as\n` });
  const goesOn: Attacker['goesOn'] = async (program) => {
    await guest.must(`rm -f ${HOME}/begun`);
    // A guest that is closed meanwhile takes it along.
    guest
      .exec('exec -a left-by-a-job perl -e "$(cat)"', { user: USER, input: `open(my $b, '>', '${HOME}/begun'); close($b); ${program}` })
      .catch(() => {});
    await guest.must(`until [ -e ${HOME}/begun ]; do sleep 0.02; done`);
  };
  return {
    does: (script) => guest.must(script, { user: USER }),
    goesOn,
    swaps: (links) =>
      goesOn(`my @links = (${links.map(([path, target]) => `[${quoted(path)}, ${quoted(target)}]`).join(', ')});
        my ($exchange, $here) = (316, -100); # renameat2, AT_FDCWD
        while (1) {
          for (@links) {
            my ($path, $target) = @$_;
            my $other = "$path.other";
            symlink($target, $other) unless -l $other || -e $other;
            # What is not there yet is there first for every other second.
            syscall($exchange, $here, $path, $here, $other, 2) == 0 or time % 2 && -l $other && rename($other, $path);
          }
          select(undef, undef, undef, 0.001);
        }`),
    searchesForTokens: () =>
      goesOn(`$SIG{PIPE} = 'IGNORE'; my %seen;
        open(my $found, '>>', '${HOME}/tokens'); select($found); $| = 1;
        sub search { while ($_[0] =~ /(?<![0-9A-Z])(A[0-9A-F]{28})(?![0-9A-Z])/g) { print "$1\\n" unless $seen{$1}++ } }
        while (1) {
          for my $process (glob '/proc/[0-9]*') {
            next if $process eq "/proc/$$";
            for my $name ('environ', 'cmdline') {
              open(my $file, '<', "$process/$name") or next;
              local $/; my $text = <$file>; search($text) if defined $text;
            }
            open(my $maps, '<', "$process/maps") or next;
            open(my $memory, '<', "$process/mem") or next;
            while (<$maps>) {
              my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw.p .*(?: 0 +$|\\[heap\\]|\\[stack\\])/ or next;
              ($from, $to) = (hex $from, hex $to);
              next if $to - $from > 8e6;
              sysseek($memory, $from, 0) && sysread($memory, my $text, $to - $from) and search($text);
            }
          }
        }`),
    end: async () => {
      await guest.must(`for process in $(pgrep -u ${USER}); do
          case $(cat /proc/$process/cgroup) in *actions.runner*) ;; *) kill -KILL $process || true ;; esac
        done
        while pgrep -u ${USER} -f left-by-a-job; do sleep 0.05; done`);
    },
    ranAs: () => guest.must(`cd ${HOME} && if [ -e ran-as ]; then sort -u ran-as | grep -vx "$(id -u ${USER})"; rm ran-as; fi; true`),
    tokens: async () => (await guest.must(`cat ${HOME}/tokens 2>/dev/null; true`)).split('\n'),
    findsInFiles: async (texts) =>
      (
        await guest.must(
          `grep -rhosF -D skip --binary-files=text -f - /etc /home /opt /run /srv /tmp /var /root /dev/shm | sort -u; true`,
          {
            user: USER,
            input: texts.join('\n'),
          },
        )
      )
        .split('\n')
        .filter((text) => text !== ''),
    filesOfRoot: async () =>
      (
        await guest.must(`cd / && {
          find etc root usr/local '(' -name 'actions.runner.*' -o -name runner-stand-in.env ')' -prune -o -printf '%p %u:%g %m %y %l\\n'
          find etc root usr/local '(' -name 'actions.runner.*' -o -name runner-stand-in.env ')' -prune -o -type f -exec md5sum {} +
          find etc/systemd run/systemd/system var/lib/runward ! -user root -printf '%p is of %u\\n'
          find etc/systemd var/lib/runward -type f -perm /002 -printf '%p has mode %m\\n'
        } 2>/dev/null`)
      ).split('\n'),
  };
}
