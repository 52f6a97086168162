/** The sign-in screen, in Spanish. */

import type { SigninText } from '../en/signin';

export const signin = (): SigninText => ({
  title: 'Iniciar sesión',
  lead: 'Envía mensajes de WhatsApp desde una tabla, exactamente al ritmo que tienes permitido.',
  withProvider: 'Iniciar sesión con tu organización',
  or: 'o con un token de acceso',
  oidcTitle: 'No has iniciado sesión',
  oidc: {
    denied: 'Tu organización no te dejó entrar, o cancelaste. Inténtalo de nuevo o pide acceso a Crier a quien administra allí las cuentas.',
    unreachable: 'El inicio de sesión de tu organización no responde. Comprueba tu red e inténtalo de nuevo.',
    failed: 'El inicio de sesión de tu organización dio una respuesta que Crier no puede usar. Inténtalo de nuevo; si vuelve a fallar, avisa a quien administra Crier.',
    stale: 'Este inicio de sesión empezó en otra pestaña o hace demasiado tiempo. Inicia sesión otra vez.',
    noRole: 'Tu cuenta no tiene ningún rol en Crier. Pide a quien administra las cuentas de tu organización que te añada a un grupo de Crier.',
    noName: 'El inicio de sesión de tu organización no dice quién eres, o no lo ha verificado. Pregunta a quien administra las cuentas de tu organización.',
    refused: 'Crier no acepta este inicio de sesión. Inténtalo de nuevo; si vuelve a fallar, avisa a quien administra Crier.',
    offline: 'No hay conexión con Crier. Comprueba tu red e inicia sesión otra vez.',
  },
  token: 'Token de acceso',
  hint: 'Te lo dio la persona que administra Crier. Se envía una vez y no se guarda en este navegador.',
  submit: 'Iniciar sesión',
  show: 'Mostrar',
  hide: 'Ocultar',
  empty: 'Escribe tu token de acceso',
  wrong: 'Este token no se conoce. Comprueba que lo copiaste entero o pide uno nuevo',
  slow: (wait) => `Llegaron demasiados tokens erróneos desde tu red. Espera ${wait} e inténtalo de nuevo`,
  ended: 'Tu sesión ha terminado. Inicia sesión otra vez; nada de lo que se está enviando se ha detenido.',
});
