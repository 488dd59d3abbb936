// JSON of GitHub's objects, with all the fields that GitHub's OpenAPI description requires.

import type { Packages } from './packages.ts';
import { readOnlyLabels } from './runner.ts';
import type { Runner } from './runner.ts';
import { HEAD_SHA } from './scope.ts';
import type { RunnerGroup, Scope } from './scope.ts';

export function runnerJson(runner: Runner, status: string, busy: boolean): object {
  return {
    id: runner.id,
    runner_group_id: runner.group.id,
    name: runner.name,
    os: runner.os,
    status,
    busy,
    ephemeral: runner.isEphemeral,
    version: runner.lastHeardAt === null && runner.shown.status === undefined ? null : runner.version,
    labels: labelsJson(runner),
  };
}

export function labelsJson(runner: Runner): readonly object[] {
  const readOnly = readOnlyLabels(runner).map((name) => ({ name, type: 'read-only' }));
  const custom = runner.labels.map((name) => ({ name, type: 'custom' }));
  return [...readOnly, ...custom].map((label, index) => ({ id: index + 1, ...label }));
}

/** @param base the API's address, without a slash at the end */
export function rootJson(base: string): object {
  return {
    current_user_url: `${base}/user`,
    current_user_authorizations_html_url: `${base}/settings/connections/applications{/client_id}`,
    authorizations_url: `${base}/authorizations`,
    code_search_url: `${base}/search/code?q={query}{&page,per_page,sort,order}`,
    commit_search_url: `${base}/search/commits?q={query}{&page,per_page,sort,order}`,
    emails_url: `${base}/user/emails`,
    emojis_url: `${base}/emojis`,
    events_url: `${base}/events`,
    feeds_url: `${base}/feeds`,
    followers_url: `${base}/user/followers`,
    following_url: `${base}/user/following{/target}`,
    gists_url: `${base}/gists{/gist_id}`,
    issue_search_url: `${base}/search/issues?q={query}{&page,per_page,sort,order}`,
    issues_url: `${base}/issues`,
    keys_url: `${base}/user/keys`,
    label_search_url: `${base}/search/labels?q={query}&repository_id={repository_id}{&page,per_page}`,
    notifications_url: `${base}/notifications`,
    organization_url: `${base}/orgs/{org}`,
    organization_repositories_url: `${base}/orgs/{org}/repos{?type,page,per_page,sort}`,
    organization_teams_url: `${base}/orgs/{org}/teams`,
    public_gists_url: `${base}/gists/public`,
    rate_limit_url: `${base}/rate_limit`,
    repository_url: `${base}/repos/{owner}/{repo}`,
    repository_search_url: `${base}/search/repositories?q={query}{&page,per_page,sort,order}`,
    current_user_repositories_url: `${base}/user/repos{?type,page,per_page,sort}`,
    starred_url: `${base}/user/starred{/owner}{/repo}`,
    starred_gists_url: `${base}/gists/starred`,
    user_url: `${base}/users/{user}`,
    user_organizations_url: `${base}/user/orgs`,
    user_repositories_url: `${base}/users/{user}/repos{?type,page,per_page,sort}`,
    user_search_url: `${base}/search/users?q={query}{&page,per_page,sort,order}`,
  };
}

/** The short form that GitHub embeds in runs. */
export function minimalRepositoryJson(scope: Pick<Scope, 'id' | 'name'>, base: string): object {
  const [owner = '', name = ''] = scope.name.split('/');
  const url = `${base}/repos/${scope.name}`;
  return {
    id: scope.id,
    node_id: nodeId('R', scope.id),
    name,
    full_name: scope.name,
    private: true,
    owner: userJson(owner, base),
    html_url: `${webAddress(base)}/${scope.name}`,
    description: null,
    fork: false,
    url,
    archive_url: `${url}/{archive_format}{/ref}`,
    assignees_url: `${url}/assignees{/user}`,
    blobs_url: `${url}/git/blobs{/sha}`,
    branches_url: `${url}/branches{/branch}`,
    collaborators_url: `${url}/collaborators{/collaborator}`,
    comments_url: `${url}/comments{/number}`,
    commits_url: `${url}/commits{/sha}`,
    compare_url: `${url}/compare/{base}...{head}`,
    contents_url: `${url}/contents/{+path}`,
    contributors_url: `${url}/contributors`,
    deployments_url: `${url}/deployments`,
    downloads_url: `${url}/downloads`,
    events_url: `${url}/events`,
    forks_url: `${url}/forks`,
    git_commits_url: `${url}/git/commits{/sha}`,
    git_refs_url: `${url}/git/refs{/sha}`,
    git_tags_url: `${url}/git/tags{/sha}`,
    hooks_url: `${url}/hooks`,
    issue_comment_url: `${url}/issues/comments{/number}`,
    issue_events_url: `${url}/issues/events{/number}`,
    issues_url: `${url}/issues{/number}`,
    keys_url: `${url}/keys{/key_id}`,
    labels_url: `${url}/labels{/name}`,
    languages_url: `${url}/languages`,
    merges_url: `${url}/merges`,
    milestones_url: `${url}/milestones{/number}`,
    notifications_url: `${url}/notifications{?since,all,participating}`,
    pulls_url: `${url}/pulls{/number}`,
    releases_url: `${url}/releases{/id}`,
    stargazers_url: `${url}/stargazers`,
    statuses_url: `${url}/statuses/{sha}`,
    subscribers_url: `${url}/subscribers`,
    subscription_url: `${url}/subscription`,
    tags_url: `${url}/tags`,
    teams_url: `${url}/teams`,
    trees_url: `${url}/git/trees{/sha}`,
  };
}

export function repositoryJson(scope: Scope, base: string): object {
  const web = `${webAddress(base)}/${scope.name}`;
  const createdAt = iso(scope.createdAt);
  return {
    ...minimalRepositoryJson(scope, base),
    clone_url: `${web}.git`,
    git_url: `${web.replace(/^https?:/, 'git:')}.git`,
    ssh_url: `git@${new URL(base).hostname}:${scope.name}.git`,
    svn_url: web,
    mirror_url: null,
    homepage: null,
    language: null,
    license: null,
    default_branch: scope.defaultBranch,
    archived: false,
    disabled: false,
    visibility: 'private',
    has_issues: true,
    has_projects: true,
    has_wiki: true,
    has_pages: false,
    has_discussions: false,
    forks: 0,
    forks_count: 0,
    open_issues: 0,
    open_issues_count: 0,
    stargazers_count: 0,
    watchers: 0,
    watchers_count: 0,
    subscribers_count: 1,
    network_count: 0,
    size: 1,
    created_at: createdAt,
    updated_at: createdAt,
    pushed_at: createdAt,
  };
}

export function runnerGroupJson({ id, name, repositories, isRestricted }: RunnerGroup, scope: Scope, base: string): object {
  return {
    id,
    name,
    visibility: repositories === 'all' ? 'all' : 'selected',
    default: name === 'Default',
    runners_url: `${base}/orgs/${scope.name}/actions/runner-groups/${id}/runners`,
    inherited: false,
    allows_public_repositories: false,
    restricted_to_workflows: isRestricted,
    selected_workflows: isRestricted ? [`${scope.name}/app/.github/workflows/release.yml@main`] : [],
  };
}

/** What GitHub offers for download of a runner's version. */
export function downloadsJson(version: string, packages: Packages): readonly object[] {
  const kinds = [
    ['osx', 'x64', 'tar.gz'],
    ['linux', 'x64', 'tar.gz'],
    ['linux', 'arm64', 'tar.gz'],
    ['linux', 'arm', 'tar.gz'],
    ['win', 'x64', 'zip'],
  ] as const;
  return kinds.map(([os, architecture, form]) => {
    const filename = `actions-runner-${os}-${architecture}-${version}.${form}`;
    return {
      os,
      architecture,
      download_url: packages.addressOf(filename, version),
      filename,
      ...(packages.hasChecksums ? { sha256_checksum: packages.sha256Of(filename) } : {}),
    };
  });
}

/** A release of the runner, of which only the assets count. https://docs.github.com/rest/releases/releases#get-a-release-by-tag-name */
export function runnerReleaseJson(version: string, packages: Packages): object {
  const assets = ['linux-x64', 'linux-arm64', 'linux-arm'].map((kind) => {
    const name = `actions-runner-${kind}-${version}.tar.gz`;
    return {
      name,
      browser_download_url: packages.addressOf(name, version),
      digest: packages.hasDigests ? `sha256:${packages.sha256Of(name)}` : null,
    };
  });
  return { tag_name: `v${version}`, name: `v${version}`, draft: false, prerelease: false, assets };
}

/** A branch, or a tag as those without a text of their own are. */
export function refJson(ref: string, scope: Scope, base: string): object {
  const url = `${base}/repos/${scope.name}/git`;
  return {
    ref,
    node_id: nodeId('REF', `${scope.id}:${ref}`),
    url: `${url}/${ref}`,
    object: { type: 'commit', sha: HEAD_SHA, url: `${url}/commits/${HEAD_SHA}` },
  };
}

/** Nobody reads what is in a file. */
const FILE_SIZE = 3;

interface Place {
  readonly repository: string;
  readonly ref: string;
  readonly base: string;
}

/** https://docs.github.com/rest/repos/contents#get-repository-content */
export function folderEntryJson(path: string, type: 'file' | 'dir', { repository, ref, base }: Place): object {
  const self = `${base}/repos/${repository}/contents/${path}?ref=${ref}`;
  const html = `${webAddress(base)}/${repository}/${type === 'file' ? 'blob' : 'tree'}/${ref}/${path}`;
  const git = `${base}/repos/${repository}/git/${type === 'file' ? 'blobs' : 'trees'}/${HEAD_SHA}`;
  return {
    name: path.split('/').at(-1),
    path,
    sha: HEAD_SHA,
    size: type === 'file' ? FILE_SIZE : 0,
    url: self,
    html_url: html,
    git_url: git,
    download_url: type === 'file' ? `${webAddress(base)}/raw/${repository}/${ref}/${path}` : null,
    type,
    _links: { self, git, html },
  };
}

export function fileJson(path: string, place: Place): object {
  return { ...folderEntryJson(path, 'file', place), content: Buffer.alloc(FILE_SIZE).toString('base64'), encoding: 'base64' };
}

/** GitHub's dates have no fraction of a second. */
export function iso(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`;
}

/** The user whose token asks, as a token without the scope `user` sees them. */
export function ownUserJson(login: string, base: string): object {
  return {
    ...userJson(login, base),
    name: null,
    company: null,
    blog: '',
    location: null,
    email: null,
    hireable: null,
    bio: null,
    public_repos: 0,
    public_gists: 0,
    followers: 0,
    following: 0,
    created_at: iso(0),
    updated_at: iso(0),
  };
}

/** As GitHub embeds users. */
export function userJson(login: string, base: string): object {
  const url = `${base}/users/${login}`;
  const web = webAddress(base);
  return {
    login,
    id: 1,
    node_id: nodeId('U', 1),
    avatar_url: `${web}/avatars/u/1`,
    gravatar_id: '',
    url,
    html_url: `${web}/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: 'User',
    site_admin: false,
  };
}

export function nodeId(kind: string, id: number | string): string {
  return `${kind}_${Buffer.from(String(id)).toString('base64url')}`;
}

export function webAddress(base: string): string {
  return new URL(base).origin;
}
