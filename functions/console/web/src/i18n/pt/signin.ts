/** The sign-in screen, in Portuguese. */

import type { SigninText } from '../en/signin';

export const signin = (): SigninText => ({
  title: 'Entrar',
  lead: 'Envie mensagens de WhatsApp a partir de uma tabela, exatamente no ritmo permitido.',
  token: 'Token de acesso',
  hint: 'Quem administra o Crier lhe deu o token. Ele é enviado uma vez e não fica guardado neste navegador.',
  submit: 'Entrar',
  show: 'Mostrar',
  hide: 'Ocultar',
  empty: 'Digite seu token de acesso',
  wrong: 'Este token não é conhecido. Verifique se copiou tudo ou peça um novo',
  slow: (wait) => `Muitos tokens errados vieram da sua rede. Espere ${wait} e tente de novo`,
  ended: 'Sua sessão terminou. Entre de novo; nada do que está sendo enviado parou.',
});
