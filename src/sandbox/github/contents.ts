// Files of repositories, as far as it matters whether an action has them.

import { notFound, refuse } from './answer.ts';
import type { Answer } from './answer.ts';
import type { RestRequest } from './endpoint.ts';
import { folderEntryJson, fileJson } from './shapes.ts';
import type { World } from './world.ts';

/** What each folder of a repository holds that nobody described. */
const UNDESCRIBED = ['action.yml', 'index.js'];

/** @param path without slashes at its ends; empty for the root */
export function answerContents(world: World, request: RestRequest, repository: string, path: string): Answer {
  const ref = request.query.get('ref') ?? 'main';
  const refs = world.actions.get(repository.toLowerCase());
  const files = refs?.get(ref);
  if (refs !== undefined && files === undefined) return refuse(404, `No commit found for the ref ${ref}`);
  const place = { repository, ref, base: request.base };
  if (files?.includes(path) === true) return { status: 200, body: fileJson(path, place) };
  const above = path === '' ? '' : `${path}/`;
  const below = (files ?? UNDESCRIBED.map((name) => above + name)).filter((file) => file.startsWith(above));
  if (below.length === 0) return notFound();
  const kinds = new Map(
    below.map((file) => file.slice(above.length).split('/')).map(([name = '', ...deeper]) => [name, deeper.length > 0]),
  );
  return {
    status: 200,
    body: [...kinds].map(([name, isFolder]) => folderEntryJson(above + name, isFolder ? 'dir' : 'file', place)),
  };
}
