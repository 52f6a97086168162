/** The sign-in screen, in English. */

export const signin = () => ({
  title: 'Sign in',
  lead: 'Broadcast WhatsApp messages from a table, at exactly the rate that you are allowed.',
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
