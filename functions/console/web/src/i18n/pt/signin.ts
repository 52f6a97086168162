/** The sign-in screen, in Portuguese. */

import type { SigninText } from '../en/signin';

export const signin = (): SigninText => ({
  title: 'Entrar',
  lead: 'Envie mensagens de WhatsApp a partir de uma tabela, exatamente no ritmo permitido.',
  withProvider: 'Entrar com a sua organização',
  or: 'ou com um token de acesso',
  oidcTitle: 'Você não entrou',
  oidc: {
    denied: 'Sua organização não deixou você entrar, ou você cancelou. Tente de novo ou peça acesso ao Crier a quem administra as contas.',
    unreachable: 'A página de entrada da sua organização não responde. Verifique sua rede e tente de novo.',
    failed: 'A página de entrada da sua organização deu uma resposta que o Crier não pode usar. Tente de novo; se falhar outra vez, avise quem administra o Crier.',
    stale: 'Esta entrada começou em outra aba ou há tempo demais. Entre de novo.',
    noRole: 'Sua conta não tem papel no Crier. Peça a quem administra as contas da sua organização que inclua você em um grupo do Crier.',
    noName: 'A página de entrada da sua organização não diz quem você é, ou não verificou isso. Fale com quem administra as contas da sua organização.',
    refused: 'O Crier não aceita esta entrada. Tente de novo; se falhar outra vez, avise quem administra o Crier.',
    offline: 'Não há conexão com o Crier. Verifique sua rede e entre de novo.',
  },
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
