/** Addresses after `#`: they need no server and survive a reload. */

export interface Route {
  /** The parts of the path: `['campaigns', '0198…']`. */
  path: string[];
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  return { path: path.split('/').filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

/** The address of a screen. Each part is escaped, so that no value of it can lead elsewhere. */
export function href(path: string[], query: Record<string, string | undefined> = {}): string {
  const set = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const search = new URLSearchParams(set).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}

let current: Route = $state.raw(parseRoute(typeof location === 'undefined' ? '' : location.hash));

export const router = {
  get path(): string[] {
    return current.path;
  },
  get query(): URLSearchParams {
    return current.query;
  },
  go(path: string[], query: Record<string, string | undefined> = {}): void {
    location.hash = href(path, query);
  },
  /** Changes the address without a step in the history. */
  replace(path: string[], query: Record<string, string | undefined> = {}): void {
    history.replaceState(null, '', href(path, query));
    current = parseRoute(location.hash);
  },
  /** Takes the query out of the address, and goes to where the page was before; a part after `#` cannot leave the page. */
  restore(hash: string): void {
    history.replaceState(null, '', location.pathname + (hash.startsWith('#') ? hash : ''));
    current = parseRoute(location.hash);
  },
};

if (typeof addEventListener === 'function') {
  addEventListener('hashchange', () => {
    current = parseRoute(location.hash);
  });
}
