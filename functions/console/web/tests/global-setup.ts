/** Starts the identity provider that the stack was deployed with; it ends with the tests. */

import { Issuer } from './issuer';

export default async function setUp(): Promise<(() => Promise<void>) | undefined> {
  const { OIDC_ISSUER: url, OIDC_CLIENT_ID: clientId } = process.env;
  if (!url || !clientId) return undefined;
  const issuer = await Issuer.start(url, clientId);
  return () => issuer.stop();
}
