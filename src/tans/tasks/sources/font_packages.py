"""The font packages of Debian that scripts are drawn with, without their prefix ``fonts-``."""

WESTERN = (
    "3270 adf-accanthis adf-ikarius adf-romande adf-tribun agave anonymous-pro apropal "
    "averia-sans-gwf averia-serif-gwf b612 bajaderka beteckna blankenburg breip cabin cabinsketch "
    "cantarell cardo cherrybomb cmu comfortaa comic-neue courier-prime crosextra-caladea "
    "dancingscript dejavu-core dejavu-extra dkg-handwriting dosis dustin ebgaramond ecolier-court "
    "engadget essays1743 evertype-conakry f500 fantasma fantasque-sans fanwood femkeklaver "
    "firacode freefont-otf georgewilliams gfs-artemisia gfs-baskerville gfs-bodoni-classic "
    "gfs-complutum gfs-didot gfs-didot-classic gfs-gazis gfs-neohellenic gfs-olga gfs-porson "
    "gfs-solomos gfs-theokritos go gotico-antiqua goudybookletter hermit humor-sans inconsolata "
    "inter isabella jetbrains-mono junicode jura karla kaushanscript klaudia-berenika kristi lato "
    "league-mono leckerli-one lemonada levien-museum levien-typoscript liberation2 lindenhill "
    "linuxlibertine lobster lobstertwo manrope monofur monoid mononoki mph-2b-damase noto-core "
    "ocr-a okolaks oldstandard open-sans opendyslexic oxygen paratype play prociono quattrocento "
    "quicksand radisnoir roboto-slab roboto-unhinted rufscript sil-andika sil-charis sil-galatia "
    "sil-gentiumplus sjfonts sora staypuft stix summersby tiresias triod-postnaja tuffy "
    "ubuntu-title unifont uralic urw-base35 vollkorn yanone-kaffeesatz"
)
"""With Latin, and many with Cyrillic or Greek letters."""

JAPANESE = (
    "aoyagi-kouzan-t aoyagi-soseki arphic-ukai arphic-uming dejima-mincho dotgothic16 "
    "droid-fallback horai-umefont ipafont-gothic ipafont-mincho kiloji komatuna konatu "
    "kouzan-mouhitsu misaki mona morisawa-bizud-gothic morisawa-bizud-mincho motoya-l-cedar "
    "motoya-l-maruberi mplus oradano-mincho-gsrr rampart reggae ricty-diminished rocknroll "
    "sawarabi-gothic sawarabi-mincho seto smiley-sans stick train vlgothic yozvox-yozfont-antique "
    "yusei-magic"
)
"""With hiragana and katakana."""

LICENCES = "OFL-1.1 AND Bitstream-Vera AND GPL-3.0-or-later WITH Font-exception-2.0"
"""The commonest; each package names its own in its copyright file."""
