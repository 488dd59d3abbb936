import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { FindingInput, MainActivities, MissedByPass, SeenByPass } from '../activities/contract.ts';
import { asSummary, type AlertState } from '../domain/alert.ts';
import type { FindingChanged } from '../domain/event.ts';
import {
  acknowledge,
  delivered,
  dueAlert,
  dueNews,
  findingMarkdown,
  givenUp,
  isOver,
  loggedAs,
  miss,
  outcomeOf,
  readAcknowledgement,
  readMissed,
  readSeen,
  readSnooze,
  reportOf,
  routed,
  see,
  sendOff,
  snooze,
  untilNow,
  wake,
  type FindingLife,
  type FindingReport,
  type PendingMessage,
} from '../domain/finding-life.ts';
import { ALL_SEARCH_ATTRIBUTES, FINDING_QUERY, FINDING_SIGNALS } from '../domain/names.ts';
import { happened } from './events.ts';
import { deliveryOptions, temporalOptions } from './options.ts';
import { label } from './search-attributes.ts';

const seen = defineSignal<[SeenByPass]>(FINDING_SIGNALS.seen);
const good = defineSignal<[MissedByPass]>(FINDING_SIGNALS.good);
const acknowledged = defineSignal<[unknown]>(FINDING_SIGNALS.acknowledge);
const snoozed = defineSignal<[unknown]>(FINDING_SIGNALS.snooze);
const state = defineQuery<FindingLife | null>(FINDING_QUERY);

/**
 * A finding for as long as it is open: passes signal that they saw it or did not, people that they know of it or want quiet.
 * It tells people by the channels of the configuration, beside the signals, which never wait for that.
 */
export async function finding(input: FindingInput): Promise<FindingReport> {
  const { version, code, place, policy } = ((input as FindingInput | null | undefined) ?? {}) as Partial<FindingInput>;
  if (version !== 1 || code === undefined || place === undefined || policy === undefined) {
    throw ApplicationFailure.nonRetryable('a finding is opened by a health check, not by hand: run a check', 'InvalidInput');
  }
  return new OpenFinding(input).run();
}

const NEWS = { opened: 'finding-opened', worse: 'finding-worse', cleared: 'finding-over' } as const satisfies Record<
  AlertState,
  FindingChanged['kind']
>;

class OpenFinding {
  readonly #input: FindingInput;
  /** `null` until it is proven. */
  #life: FindingLife | null;
  /** What the search attributes and the memo show. */
  #shown = '';
  /** What the last signal of a person lacked. */
  #misunderstood: string | null = null;
  /** The delivery that is under way. */
  #delivery: { readonly scope: CancellationScope; readonly ended: Promise<void> } | null = null;

  constructor(input: FindingInput) {
    this.#input = input;
    this.#life = input.life;
  }

  async run(): Promise<FindingReport> {
    const { place, policy } = this.#input;
    const continueAt = Date.now() + policy.continueAfterMs;
    this.#listen();
    if (this.#life === null) {
      throw ApplicationFailure.nonRetryable(`nobody has proved ${this.#input.code} of ${place.subject}: run a check`, 'InvalidInput');
    }
    this.#become(this.#life);
    for (;;) {
      this.#become(wake(untilNow(this.#life, Date.now()), Date.now()));
      this.#tell();
      if (this.#delivery === null && isOver(this.#life)) {
        return reportOf(this.#life, place);
      }
      if (Date.now() >= continueAt || workflowInfo().continueAsNewSuggested) {
        await this.#holdDelivery();
        await continueAsNew<typeof finding>({ ...this.#input, life: this.#life });
      }
      const { snoozedUntil } = this.#life;
      const wakeAt = Math.min(continueAt, snoozedUntil ?? continueAt);
      await condition(() => this.#isToAct(snoozedUntil), Math.max(wakeAt - Date.now(), 1));
    }
  }

  /** Handlers do not wait, so that none is under way when a run ends. What a person types may be anything. */
  #listen(): void {
    setHandler(state, () => this.#life);
    setHandler(seen, (given) => this.#hear(readSeen(given), 'seen is for health checks', (life, word) => see(life, word.finding, word.at)));
    setHandler(good, (given) =>
      this.#hear(readMissed(given), 'good is for health checks', (life, word) => life && miss(life, word.at, this.#input.policy)),
    );
    setHandler(acknowledged, (given) =>
      this.#hear(
        readAcknowledgement(given),
        'acknowledge takes {"by", "note"}',
        (life, word) => life && acknowledge(life, word, Date.now()),
      ),
    );
    setHandler(snoozed, (given) =>
      this.#hear(
        readSnooze(given),
        'snooze takes {"until"}, such as 2026-11-24T18:00:00Z',
        (life, until) => life && snooze(life, until, Date.now()),
      ),
    );
  }

  #hear<Word>(word: Word | null, allowed: string, step: (life: FindingLife | null, word: Word) => FindingLife | null): void {
    this.#misunderstood = word === null ? `A signal was not understood: ${allowed}` : null;
    this.#become(word === null ? this.#life : step(this.#life && untilNow(this.#life, Date.now()), word));
  }

  #become(given: FindingLife | null): void {
    const life = given === null ? null : this.#log(given);
    this.#life = life;
    if (life === null) {
      return;
    }
    const { place } = this.#input;
    setCurrentDetails([findingMarkdown(life, place), this.#misunderstood].filter((part) => part !== null).join('\n\n'));
    const { severity, summary, advice } = life.finding;
    const { since, acknowledged: word, snoozedUntil } = life;
    const outcome = outcomeOf(life);
    // Each change is an event of the history, so words that change with every pass are left for the details.
    const shown = JSON.stringify([outcome, severity, since, word, snoozedUntil]);
    if (shown !== this.#shown) {
      this.#shown = shown;
      const { searchAttributes = ALL_SEARCH_ATTRIBUTES } = this.#input;
      label(searchAttributes, {
        scope: place.scope,
        ...(place.runner === null ? {} : { runner: place.runner }),
        trigger: 'check',
        outcome,
      });
      upsertMemo({
        finding: { subject: place.subject, code: this.#input.code, severity, summary, advice, since, acknowledged: word, snoozedUntil },
      });
    }
  }

  #log(life: FindingLife): FindingLife {
    const news = dueNews(life);
    if (news === null) {
      return life;
    }
    const { place, code } = this.#input;
    const { severity, summary, advice } = life.finding;
    happened({
      kind: NEWS[news],
      workflowId: workflowInfo().workflowId,
      subject: place.subject,
      scope: place.scope,
      runner: place.runner,
      code,
      severity,
      summary,
      advice,
      since: new Date(life.since).toISOString(),
      durationMs: (life.clearedAt ?? life.heardAt) - life.since,
    });
    return loggedAs(life, news);
  }

  #isToAct(snoozedUntil: number | null): boolean {
    const life = this.#life;
    if (life === null || life.snoozedUntil !== snoozedUntil || workflowInfo().continueAsNewSuggested) {
      return true;
    }
    return this.#delivery === null && (life.pending !== null || dueAlert(life) !== null || isOver(life));
  }

  // Telling people

  /** Sees to it that what is due, or was on its way when the run before ended, is being delivered. */
  #tell(): void {
    const life = this.#life;
    if (life === null || this.#delivery !== null) {
      return;
    }
    const due = dueAlert(life);
    const sent = due === null ? life : sendOff(life, due, this.#input.place, Date.now());
    if (sent.pending === null) {
      return;
    }
    this.#become(sent);
    const { pending } = sent;
    const scope = new CancellationScope();
    const ended = scope
      .run(() => this.#deliver(pending))
      .finally(() => {
        this.#delivery = null;
      });
    this.#delivery = { scope, ended };
  }

  /** Ends the delivery without giving it up: an attempt that is being made is waited for, what is left is the next run's. */
  async #holdDelivery(): Promise<void> {
    this.#delivery?.scope.cancel();
    await this.#delivery?.ended;
  }

  async #deliver(pending: PendingMessage): Promise<void> {
    try {
      const channels = pending.channels ?? (await this.#channels());
      this.#change((life) => routed(life, channels));
      await Promise.all(channels.map((channel) => this.#deliverBy(channel, pending)));
    } catch (error) {
      this.#failed(error, null);
    }
  }

  async #channels(): Promise<readonly string[]> {
    const { alertChannels } = proxyActivities<MainActivities>(temporalOptions('who is told?'));
    return (await alertChannels()).channels;
  }

  async #deliverBy(channel: string, { message, begunAt }: PendingMessage): Promise<void> {
    const { policy } = this.#input;
    const leftMs = begunAt + policy.deliverWithinMs - Date.now();
    const { deliverAlert } = proxyActivities<MainActivities>(deliveryOptions(policy, leftMs, asSummary(`${channel}: ${message.text}`)));
    try {
      await deliverAlert({ channel, message });
      this.#change((life) => delivered(life, channel));
    } catch (error) {
      this.#failed(error, channel);
    }
  }

  #failed(error: unknown, channel: string | null): void {
    if (CancellationScope.current().consideredCancelled) {
      return;
    }
    const why = reasonOf(error);
    log.warn(`a message could not be delivered: ${why}`);
    this.#change((life) => givenUp(life, channel, why, Date.now()));
  }

  #change(step: (life: FindingLife) => FindingLife): void {
    this.#become(this.#life && step(this.#life));
  }
}

/** A time-out of all attempts does not say what the last one said; Temporal's UI shows it with the activity. */
function reasonOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure) {
    return 'no attempt got through in the time for it';
  }
  return cause instanceof Error ? cause.message : String(cause);
}
