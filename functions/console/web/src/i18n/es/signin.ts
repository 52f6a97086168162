/** The sign-in screen, in Spanish. */

import type { SigninText } from '../en/signin';

export const signin = (): SigninText => ({
  title: 'Iniciar sesión',
  lead: 'Envía mensajes de WhatsApp desde una tabla, exactamente al ritmo que tienes permitido.',
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
