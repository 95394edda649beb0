"""The words that names of columns are made of, and what each says.

Words are in plain lower-case letters, as ``naming.words`` makes them: ``straße`` is ``strasse``,
``prénom`` is ``prenom``. A phrase is words with a space between; the same phrase written as one
word (``firstname``) is known too. After ``?`` stand those that mean other things as often.
"""

from __future__ import annotations

from typing import Final

# English first, then German, French, Spanish, Portuguese, Italian and Dutch.
_CLASSES: Final = {
    "email": """
        email, e mail, email address, e mail address, mail address, mailaddress, emailaddr,
        emailadresse, mailadresse, courriel, adresse mail, adresse email, correo,
        correo electronico, posta elettronica, emailadres ? pec, mail, email id, contact email""",
    "phone": """
        phone, phone number, phone no, telephone, telephone number, tel, mobile, mobile number,
        mobile phone, cell, cell phone, cellphone, msisdn, fax, fax number, whatsapp,
        whatsapp number, telefon, telefonnummer, handy, handynummer, mobil, mobilnummer,
        rufnummer, telefax, telefone, telefono, celular, movil, telephone portable, cellulare,
        telefoon, telefoonnummer, mobiel, gsm ? portable, mobiltelefon, contact number, landline,
        work number""",
    "card": """
        card number, card no, card num, cc num, cc number, cc no, ccnum, credit card, creditcard,
        credit card number, debit card, debit card number, card pan, kreditkarte, kartennummer,
        kreditkartennummer, numero carte, carte bancaire, tarjeta, numero tarjeta,
        tarjeta credito, cartao, numero cartao, cartao credito, carta credito, numero carta,
        creditcardnummer ? pan, cc, primary account number""",
    "iban": "iban, iban number, iban code, ibannummer",
    "account": """
        account number, account no, account num, acct no, acct num, bank account,
        bank account number, routing number, sort code, kontonummer, konto nr, kontonr,
        bankverbindung, blz, bankleitzahl, numero compte, compte bancaire, cuenta bancaria,
        numero cuenta, conta bancaria, numero conta, conto corrente, rekeningnummer, clabe, cbu,
        wallet address, crypto address, btc address, bitcoin address, eth address,
        paypal email ? rib, bsb, bic, swift, customer number, kundennummer, policy number,
        insurance number, bank details""",
    "national-id": """
        ssn, social security, social security number, social security no,
        social insurance number, national id, national identifier, national identity,
        national id number, national insurance, national insurance number, nino, nin, tax id,
        tax identifier, tax number, tax no, taxpayer id, itin, tax file number, tfn, vat id,
        passport, passport number, passport num, passport id, id card, id card number,
        identity card, identity number, identity document, id number, citizen id, personal id,
        personal number, government id, driver license, drivers license, driving license,
        driving licence, driver license number, nhs number, medicare number, aadhaar, aadhar,
        pan card, steuer id, steuerid, steuernummer, steuer nummer, idnr, ausweisnummer,
        personalausweis, sozialversicherungsnummer, sv nummer, svnr, ahv, ahv nummer, reisepass,
        numero secu, numero securite sociale, securite sociale, numero passeport, cpf, cnpj, dni,
        nie, nif, curp, pasaporte, numero pasaporte, codice fiscale, codicefiscale,
        numero passaporto, bsn, burgerservicenummer, rijksregisternummer, personnummer, pesel,
        hetu, fodselsnummer, cpr, cpr number, egn, cnp, nric, fin number, my number, emirates id,
        identification id, ssnid, sinid, drivers, vat number, passport no ? sin, tin, nir, rg,
        rfc, cedula, rut, identification number, license plate, licence plate, number plate,
        kennzeichen, matricula, immatriculation, vin, legajo, vat, document number,
        license number, licence number""",
    "name": """
        first name, last name, full name, given name, family name, middle name, maiden name,
        forename, surname, lname, fname, mname, birth name, legal name, person name, real name,
        contact name, contact person, cardholder, card holder, account holder, holder name,
        cardholder name, recipient name, sender name, customer name, client name, patient name,
        employee name, guest name, emergency contact, next of kin, mother name, father name,
        spouse name, signatory, vorname, nachname, familienname, zuname, rufname, geburtsname,
        ansprechpartner, kontoinhaber, karteninhaber, empfaenger, versicherter, prenom,
        nom famille, nom complet, nom naissance, nom de famille, nombres, apellido, apellidos,
        primer apellido, segundo apellido, primer nombre, nombre completo, titular, sobrenome,
        apelido, nome completo, primeiro nome, cognome, voornaam, achternaam, tussenvoegsel,
        roepnaam, maiden, recipient full name ? name, nom, nombre, nome, naam, recipient, sender,
        author, owner, contact, initials""",
    "username": """
        username, user name, login, login name, loginname, nickname, nick name, nick,
        screen name, screenname, display name, displayname, twitter handle, instagram handle,
        twitter, instagram, facebook, linkedin, linkedin url, github username, telegram,
        telegram id, skype, skype id, discord id, benutzername, anmeldename, spitzname,
        identifiant, pseudo, pseudonyme, apodo, nombre usuario, nombre de usuario, nome usuario,
        nome utente, gebruikersnaam ? handle, user, usuario, benutzer, utente, created by,
        updated by, modified by, actor, account name, profile url""",
    "address": """
        address, street, street address, street name, street number, house number, house no,
        address line, addr, addr line, home address, postal address, mailing address,
        billing address, shipping address, delivery address, residence, apartment, apt, po box,
        adresse, strasse, hausnummer, hausnr, anschrift, wohnort, postfach, rue, adresse ligne,
        numero rue, direccion, calle, domicilio, endereco, rua, logradouro, bairro, indirizzo,
        civico, adres, straat, straatnaam, huisnummer ? str, complemento, via, line, district,
        unit number, suite, numero civico""",
    "postcode": """
        zip, zip code, zipcode, postcode, post code, postal code, postalcode, plz, postleitzahl,
        code postal, codigo postal, cep, codice postale, pincode, eircode ? cp, cap, pin code""",
    "location": """
        latitude, longitude, lat, lng, lon, lat lng, latlng, lat lon, geolocation, geo location,
        coordinates, coords, coordinate, gps, gps position, home location, last location,
        breitengrad, laengengrad, latitud, longitud, latitudine, longitudine, breedtegraad,
        lengtegraad, geom, geohash, place of birth, birth place, birthplace, geburtsort,
        lieu naissance ? geo, location, position gps, city, town, ort, stadt, ville, ciudad,
        cidade, municipio, citta, comune, plaats, woonplaats, gemeente, commune, county""",
    "birth-date": """
        birth date, birthdate, date of birth, dob, birthday, birth day, born, born on, born at,
        year of birth, birth year, birth month, yob, geburtsdatum, geburtstag, geb datum,
        gebdatum, geburtsjahr, date naissance, date de naissance, naissance, annee naissance,
        fecha nacimiento, fecha de nacimiento, nacimiento, data nascimento, data de nascimento,
        nascimento, data nascita, data di nascita, nascita, geboortedatum, geboortejaar, geb dat,
        date of death, death date, deathdate, died on ? birth, bday""",
    "ip": """
        ip, ip address, ip addr, ipaddr, ipaddress, remote ip, remote addr, remote address,
        client ip, source ip, src ip, user ip, last ip, login ip, last login ip, ipv,
        ipv address, x forwarded for, forwarded for, adresse ip, direccion ip,
        ip adresse ? client addr, remote host, peer""",
    "device": """
        mac, mac address, mac addr, macaddr, device id, device identifier, device uuid,
        device token, device fingerprint, browser fingerprint, fingerprint, imei, imsi, iccid,
        udid, idfa, gaid, aaid, android id, advertising id, user agent, useragent,
        serial number device, push token, installation id, machine id, hardware id, cookie id,
        visitor id, client id ga, meid ? browser, device, device name, hostname client""",
    "secret": """
        password, passwd, pwd, passphrase, pass phrase, pass hash, password hash, passwordhash,
        password digest, encrypted password, hashed password, password salt, salt, pw hash, pw,
        secret, client secret, secret key, token, auth token, access token, refresh token,
        reset token, api token, session token, remember token, csrf token, bearer token,
        id token, reset password token, confirmation token, verification token, invitation token,
        token hash, api key, apikey, private key, access key, encryption key, signing key,
        secret access key, session key, session id, sessionid, session data, cvv, cvc, cvn,
        cvv code, security code, pin code hash, pin hash, otp, otp code, otp secret, totp secret,
        mfa secret, two factor secret, reset code, verification code, backup codes,
        recovery codes, recovery code, security answer, secret answer, security question answer,
        credential, credentials, authorization, webhook secret, private pem, passwort, kennwort,
        passwort hash, mot de passe, mdp, motdepasse, contrasena, clave secreta, senha,
        parola d ordine, wachtwoord, geheim, password encrypted, passcode, activation key ? pass,
        pin, key hash, nonce, certificate, clave, sid, signature, license key""",
    "special": """
        gender, sex, geschlecht, sexe, genero, sexo, genere, sesso, geslacht, gender identity,
        religion, religious, religious affiliation, konfession, kirchensteuer, confession,
        religione, godsdienst, faith, ethnicity, ethnic, ethnic group, ethnic origin, racial,
        herkunft, origine ethnique, etnia, raza, raca, afkomst, sexual orientation,
        orientation sexuelle, political, political affiliation, political party,
        political opinion, party membership, trade union, union member, union membership,
        gewerkschaft, health, health status, health condition, medical, medical history,
        medical record, medical record number, mrn, medical notes, medical condition, diagnosis,
        diagnoses, diagnose, diagnostic, diagnostico, diagnosi, disease, illness, krankheit,
        maladie, enfermedad, malattia, ziekte, symptoms, symptom, allergies, allergy, allergie,
        medication, medications, medikament, prescription, treatment, therapy, disability,
        disabled person, handicap, behinderung, schwerbehindert, discapacidad, pregnant,
        pregnancy, schwanger, blood type, blood group, blutgruppe, groupe sanguin, hiv,
        hiv status, vaccination, vaccinated, icd, icd code, genetic, dna, biometric,
        face encoding, criminal record, conviction, convictions, sick leave, sick days,
        blood pressure, bmi, mental health, smoker, drinks alcohol ? race, orientation,
        condition, procedure, test result, lab result""",
    "financial": """
        salary, base salary, wage, wages, income, annual income, monthly income, net income,
        gross income, household income, pay rate, hourly rate, compensation, payroll,
        credit score, credit limit, balance, account balance, net worth, debt, debts,
        loan amount, mortgage, gehalt, lohn, einkommen, kontostand, salaire, revenu, revenus,
        solde, salario, ingresos, renta, saldo, renda, stipendio, reddito, salaris,
        inkomen ? bonus, pension, rent, commission, credit, turnover person""",
    "free-text": """
        note, notes, comment, comments, remark, remarks, message, message body, body, free text,
        freetext, bio, biography, about me, feedback, reason text, additional information,
        chat message, transcript, review text, complaint, bemerkung, bemerkungen, notiz, notizen,
        kommentar, nachricht, anmerkung, anmerkungen, freitext, commentaire, commentaires,
        remarque, remarques, comentario, comentarios, observaciones, observacoes, mensaje,
        mensagem, notas, commento, commenti, messaggio, opmerking, opmerkingen, bericht,
        toelichting ? nota, description, text, content, details, detail, summary, memo, reason,
        subject, answer, beschreibung, descripcion, descricao, descrizione, omschrijving, testo,
        texto, about""",
    "personal": """
        age, alter jahre, nationality, citizenship, staatsangehoerigkeit, nationalitaet,
        nationalite, nacionalidad, nacionalidade, nazionalita, nationaliteit, marital status,
        civil status, familienstand, etat civil, situation familiale, estado civil, stato civile,
        burgerlijke staat, photo, photo url, avatar, avatar url, profile picture, picture,
        portrait, selfie, signature image, voice recording, occupation, job title, profession,
        beruf, employer, arbeitgeber, salutation, anrede, religion tax, children count,
        email hash, email sha, phone hash, hashed email, search query, marital ? title of person,
        hobbies, interests, language spoken, education""",
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _listed(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split(",")) - {""}


def _phrases() -> dict[str, tuple[str, bool]]:
    found: dict[str, tuple[str, bool]] = {}
    for klass, text in _CLASSES.items():
        firm, _, loose = text.partition("?")
        for strong, part in ((True, firm), (False, loose)):
            for phrase in sorted(_listed(part)):
                found.setdefault(phrase, (klass, strong))
                found.setdefault(phrase.replace(" ", ""), (klass, strong))
    return found


PHRASES: Final = _phrases()
# Ends of compounds, which German and Dutch write as one word, and databases without separators.
SUFFIXES: Final = {
    "ipadresse": "ip",
    "emailadresse": "email",
    "emailaddress": "email",
    "ipaddress": "ip",
    "macaddress": "device",
    "email": "email",
    "telefon": "phone",
    "telefonnummer": "phone",
    "phonenumber": "phone",
    "passwort": "secret",
    "password": "secret",
    "wachtwoord": "secret",
    "geburtsdatum": "birth-date",
    "vorname": "name",
    "nachname": "name",
    "firstname": "name",
    "lastname": "name",
    "surname": "name",
    "anschrift": "address",
    "adresse": "address",
    "address": "address",
    "strasse": "address",
    "kontonummer": "account",
    "postleitzahl": "postcode",
    "gehalt": "financial",
}
# What has a personal word in it, and is something else.
NEVER: Final = _listed(
    """
    last login, bind address, listen address, contract address, memory address, base
    address, mailing list, mail server, mail host, public key, foreign key, primary key,
    sort key, idempotency key, cache key, token type, page token, body type, body html,
    message type, next page token, race condition, health check, healthcheck, card type,
    card brand, name space, content type, text color, mobile app, position id, via point,
    cell id, about page, pass rate, pass count, balance sheet, user agent id, message id,
    comment id, note id, session count
    """
)
FLAGS: Final = _words(
    """
    is has had can could should was were will may must allow allows allowed enable enables
    disable needs requires use uses show hide ist hat est
    """
)
ENDINGS: Final = _words(
    """
    verified confirmed validated subscribed unsubscribed enabled disabled active inactive
    required optional valid invalid sent bounced opened clicked delivered consent optin
    optout accepted in out flag bool deleted archived locked hidden visible public private
    default changed opted
    """
)
COUNTS: Final = _words(
    """
    count counts cnt qty quantity total totals sum avg average min max anzahl
    menge cantidad quantidade quantita aantal percent percentage ratio attempts tries
    views hits limit quota size length width height depth weight bytes chars
    """
)
FIRST_COUNTS: Final = _words("num nb count anzahl")
MOMENTS: Final = _words(
    """
    at on ts timestamp date datetime time day expires expiry expiration until since updated
    created modified datum zeit fecha data
    """
)
KEYS: Final = _words("id ids uuid guid fk pk ref refs oid key keys idx index nr")
SIDES: Final = _words(
    """
    type types status state kind format template version provider domain domains length size
    mode method settings setting preference preferences config options language locale
    source level order position label labels group groups category class color icon prefix
    suffix scheme algorithm algo strength policy brand network issuer schema slug url link
    host port path file frequency channel zone area
    """
)
# Whose a plain "name" is, before it (customer_name) or as the table (customers.name).
PEOPLE: Final = _words(
    """
    user customer client person people employee patient member contact guest student teacher
    lead subscriber applicant candidate passenger driver recipient sender buyer seller
    author owner holder beneficiary payee payer donor volunteer attendee participant citizen
    resident doctor nurse staff worker manager agent profile individual human insured
    policyholder voter billing shipping ship delivery artist composer kunde kunden
    mitarbeiter benutzer person personen nutzer patient ansprechpartner mitglied empfaenger
    usuario cliente empleado paciente persona alumno socio utente dipendente persone
    utilisateur employe salarie adherent klant medewerker gebruiker patientin signer caller
    friend parent child spouse mother father
    """
)
THINGS: Final = _words(
    """
    file filename host table column schema database db product item company organization
    organisation org business firm vendor supplier brand shop store merchant bank country
    city region state department team project task job event category tag label group role
    permission plan feature field class method function service server cluster node bucket
    queue topic index type status template campaign list folder directory path domain app
    application module package bean property attribute metric dashboard report page menu
    route device model currency language locale zone region plugin key token policy rule
    step stage environment branch repository repo street school university course subject
    unit course font image color game level track album firma produkt artikel abteilung
    societe entreprise produit empresa producto azienda prodotto bedrijf constraint trigger
    sequence image channel warehouse location building room
    """
)
# Names of what cannot be personal by itself; whole names, or last words.
PLAIN: Final = _words(
    """
    status state type kind category level priority currency currency code language lang
    locale unit units mode version revision sort order sort_order position rank active
    enabled sku slug color colour size stage severity environment timezone created updated
    modified quantity qty
    """
)
