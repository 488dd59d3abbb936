/** Where GitHub is: its REST API, and the address that runners register at. */
export interface GitHubAddresses {
  readonly apiUrl: string;
  readonly serverUrl: string;
}

const GITHUB: GitHubAddresses = {
  apiUrl: 'https://api.github.com',
  serverUrl: 'https://github.com',
};

/**
 * Derives the address that is not given from the one that is; `null` where it cannot be derived.
 * github.com and GHE.com have `api.` before the host, GitHub Enterprise Server has `/api/v3` after it:
 * https://docs.github.com/en/enterprise-server@latest/rest/quickstart
 */
export function completeAddresses(given: Partial<GitHubAddresses>): GitHubAddresses | null {
  const { apiUrl, serverUrl } = given;
  if (apiUrl !== undefined && serverUrl !== undefined) {
    return { apiUrl, serverUrl };
  }
  if (serverUrl !== undefined) {
    return {
      serverUrl,
      apiUrl: isCloud(new URL(serverUrl).hostname) ? serverUrl.replace('://', '://api.') : `${serverUrl}/api/v3`,
    };
  }
  if (apiUrl === undefined) {
    return GITHUB;
  }
  const server = apiUrl.endsWith('/api/v3') ? apiUrl.slice(0, -'/api/v3'.length) : apiUrl.replace('://api.', '://');
  return server !== apiUrl && (apiUrl.endsWith('/api/v3') || isCloud(new URL(server).hostname)) ? { apiUrl, serverUrl: server } : null;
}

function isCloud(hostname: string): boolean {
  return hostname === 'github.com' || hostname.endsWith('.ghe.com');
}
