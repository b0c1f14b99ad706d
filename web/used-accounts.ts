// The user names that signed in here, the last one first: a hint for the first screen, which needs no database to show.

const key = 'secure-accounts';
const most = 8;

export class UsedAccounts {
  names(): string[] {
    try {
      const names: unknown = JSON.parse(localStorage.getItem(key) ?? '[]');
      return Array.isArray(names) ? names.filter((name) => typeof name === 'string').slice(0, most) : [];
    } catch {
      return [];
    }
  }

  remember(username: string): void {
    const names = [username, ...this.names().filter((name) => name !== username)].slice(0, most);
    try {
      localStorage.setItem(key, JSON.stringify(names));
    } catch {
      // The browser forbids it: the name has to be typed next time.
    }
  }
}
