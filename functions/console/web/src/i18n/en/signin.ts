/** The sign-in screen, in English. */

export const signin = () => ({
  title: 'Sign in',
  lead: 'Broadcast WhatsApp messages from a table, at exactly the rate that you are allowed.',
  withProvider: 'Sign in with your organisation',
  or: 'or with an access token',
  oidcTitle: 'You are not signed in',
  oidc: {
    denied: 'Your organisation did not let you in, or you cancelled. Try again, or ask the person who manages accounts there for access to Crier.',
    unreachable: 'Your organisation’s sign-in does not answer. Check your network, then try again.',
    failed: 'Your organisation’s sign-in gave an answer that Crier cannot use. Try again; if it fails again, tell the person who runs Crier.',
    stale: 'This sign-in was begun in another tab, or too long ago. Sign in again.',
    noRole: 'Your account has no role in Crier. Ask the person who manages accounts in your organisation to add you to a group of Crier.',
    noName: 'Your organisation’s sign-in does not say who you are, or has not verified it. Ask the person who manages accounts in your organisation.',
    refused: 'Crier does not accept this sign-in. Try again; if it fails again, tell the person who runs Crier.',
    offline: 'There is no connection to Crier. Check your network, then sign in again.',
  },
  token: 'Access token',
  hint: 'The person who runs Crier gave it to you. It is sent once and not stored in this browser.',
  submit: 'Sign in',
  show: 'Show',
  hide: 'Hide',
  empty: 'Enter your access token',
  wrong: 'This token is not known. Check that you copied all of it, or ask for a new one',
  slow: (wait: string) => `Too many wrong tokens came from your network. Wait ${wait}, then try again`,
  ended: 'Your session has ended. Sign in again; nothing that is being sent has stopped.',
});

export type SigninText = ReturnType<typeof signin>;
