import { isGrpcServiceError, type ConnectionLike } from '@temporalio/client';
import { ALL_SEARCH_ATTRIBUTES, SEARCH_ATTRIBUTES, type SearchAttribute } from '../domain/names.ts';
import { isSilence } from './temporal-calls.ts';

/** `temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD`. */
const KEYWORD = 2;

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const INVALID_ARGUMENT = 3;
const ALREADY_EXISTS = 6;

type Services = Pick<ConnectionLike, 'operatorService' | 'workflowService'>;

/** Which search attributes of Runward a namespace has. */
export interface KnownAttributes {
  readonly there: readonly SearchAttribute[];
  /** Why the others are not made, or not known; `null` where nobody tried. */
  readonly why: string | null;
}

/** Makes those that are missing; where that is refused, those that are there have to do. */
export async function makeSearchAttributes(services: Services, namespace: string): Promise<KnownAttributes> {
  const { there } = await readSearchAttributes(services, namespace);
  const missing = missingOf(there);
  if (missing.length === 0) {
    return { there, why: null };
  }
  try {
    const searchAttributes = Object.fromEntries(missing.map((name) => [SEARCH_ATTRIBUTES[name], KEYWORD]));
    await services.operatorService.addSearchAttributes({ namespace, searchAttributes });
    return { there: ALL_SEARCH_ATTRIBUTES, why: null };
  } catch (error) {
    // Servers before 1.32 answer so where newer ones answer OK.
    return codeOf(error) === ALREADY_EXISTS ? { there: ALL_SEARCH_ATTRIBUTES, why: null } : { there, why: refusal(error) };
  }
}

/**
 * Reads them; where no way to read is allowed, none counts as there: one that is missing would leave a workflow running for ever, and without
 * them there is only less to list.
 */
export async function readSearchAttributes(services: Services, namespace: string): Promise<KnownAttributes> {
  try {
    const { customAttributes } = await services.operatorService.listSearchAttributes({ namespace });
    return { there: ALL_SEARCH_ATTRIBUTES.filter((name) => customAttributes[SEARCH_ATTRIBUTES[name]] === KEYWORD), why: null };
  } catch (error) {
    refusal(error);
    return tryInQueries(services, namespace);
  }
}

/** Temporal Cloud and authorizers may forbid to read them, but nobody can list executions without the right to search for them. */
async function tryInQueries({ workflowService }: Services, namespace: string): Promise<KnownAttributes> {
  const there: SearchAttribute[] = [];
  for (const name of ALL_SEARCH_ATTRIBUTES) {
    try {
      await workflowService.countWorkflowExecutions({ namespace, query: `${SEARCH_ATTRIBUTES[name]} = 'runward'` });
      there.push(name);
    } catch (error) {
      if (codeOf(error) !== INVALID_ARGUMENT) {
        return { there: [], why: refusal(error) };
      }
    }
  }
  return { there, why: null };
}

function missingOf(there: readonly SearchAttribute[]): readonly SearchAttribute[] {
  return ALL_SEARCH_ATTRIBUTES.filter((name) => !there.includes(name));
}

interface Place {
  readonly address: string;
  readonly namespace: string;
}

/** What is missing, and the command by which whoever may do so makes it; `null` where all is there. */
export function missingText({ there, why }: KnownAttributes, place: Place): string | null {
  const missing = missingOf(there);
  if (missing.length === 0) {
    return null;
  }
  const names = missing.map((name) => SEARCH_ATTRIBUTES[name]).join(', ');
  const because = why === null ? '' : ` (Temporal refused to make them: ${why})`;
  return `Namespace ${place.namespace} has no search attributes ${names}${because}. Make them with: ${commandToMake(missing, place)}.`;
}

function commandToMake(missing: readonly SearchAttribute[], { address, namespace }: Place): string {
  const names = missing.map((name) => SEARCH_ATTRIBUTES[name]);
  // https://docs.temporal.io/cloud/namespaces#access-namespaces
  if (/\.(?:tmprl\.cloud|api\.temporal\.io)(?::\d+)?$/.test(address)) {
    return `tcld namespace search-attributes add --namespace ${namespace} ${names.map((name) => `--search-attribute ${name}=Keyword`).join(' ')}`;
  }
  return `temporal operator search-attribute create --address ${address} --namespace ${namespace} ${names.map((name) => `--name ${name} --type Keyword`).join(' ')}`;
}

function codeOf(error: unknown): number | null {
  return isGrpcServiceError(error) ? error.code : null;
}

/** The server's words; what is no answer of a server is passed on. */
function refusal(error: unknown): string {
  if (!isGrpcServiceError(error) || isSilence(error)) {
    throw error;
  }
  return error.details;
}
