"""Which column of a table is what: headings of the field's data sets and tools, in the languages people use."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

HEADINGS: dict[str, str] = {
    "latitude": (
        "latitude lat latitude_deg lat_deg latitude_degrees lat_degrees latitude_dd lat_dd decimal_latitude "
        "latitude_decimal latitude_wgs84 lat_wgs84 latitude_e7 lat_e7 latitude_e6 lat_e6 latitude_microdegrees lat_rad "
        "latitude_rad "
        "latitude_radians lat_radians latitude_north lat_n y_latitude latitude_y y_lat lat_y verbatim_latitude "
        "latitude_verbatim "
        "camera_lat camera_latitude cam_lat vehicle_lat center_lat centre_lat centroid_lat lat1 geographic_latitude "
        "gps_latitude gps_lat latitude_gps lat_gps "
        "map_latitude geo_lat geo_latitude photo_lat image_lat exif_latitude exif_lat true_lat true_latitude gt_lat "
        "start_lat point_lat location_lat location_latitude breitengrad geografische_breite geographische_breite "
        "geogr_breite geo_breite breite latitud latitud_decimal latitudine breedtegraad breddgrad breddegrad leveysaste "
        "leveyspiiri szerokosc szerokosc_geograficzna zemepisna_sirka geograficka_sirka sirka sirina geografska_sirina "
        "szelesseg foldrajzi_szelesseg latitudine_geografica enlem широта географическая_широта географска_ширина "
        "geografine_platuma laiuskraad γεωγραφικο_πλατος πλατος lintang garis_lintang vi_do 纬度 緯度 위도 خط_العرض "
        "دائرة_العرض "
        "קו_רוחב अक्षांश ละติจูด "
        "北纬 北緯 عرض_جغرافیایی szer_geogr szerokosc_geogr ширина географска_ширина_n breedte latituda breiddargrad"
    ),
    "longitude": (
        "longitude lon lng long longitude_deg lon_deg lng_deg long_deg longitude_degrees lon_degrees longitude_dd lon_dd "
        "long_dd decimal_longitude longitude_decimal longitude_wgs84 lon_wgs84 longitude_e7 lon_e7 lng_e7 longitude_e6 "
        "lon_e6 lng_e6 "
        "longitude_microdegrees lon_rad lng_rad longitude_rad longitude_radians lon_radians longitude_east lon_e x_longitude "
        "longitude_x x_lon lon_x x_lng verbatim_longitude longitude_verbatim camera_lon camera_lng camera_longitude cam_lon "
        "vehicle_lon center_lon centre_lon center_lng centroid_lon lon1 lng1 geographic_longitude gps_longitude "
        "gps_lon gps_lng gps_long longitude_gps lon_gps map_longitude geo_lon geo_lng geo_long geo_longitude photo_lon "
        "photo_lng image_lon image_lng exif_longitude exif_lon true_lon true_lng true_longitude gt_lon gt_lng start_lon "
        "start_lng point_lon point_lng location_lon location_lng location_longitude langengrad laengengrad "
        "geografische_lange geographische_lange geografische_laenge geographische_laenge geogr_lange geo_lange lange "
        "laenge longitud longitud_decimal longitudine lengtegraad langdgrad laengdegrad lengdegrad pituusaste pituuspiiri "
        "dlugosc dlugosc_geograficzna zemepisna_delka geograficka_dlzka delka dlzka duzina dolzina geografska_duzina "
        "hosszusag foldrajzi_hosszusag longitudine_geografica boylam долгота географическая_долгота географска_дължина "
        "ilguma pikkuskraad γεωγραφικο_μηκος μηκος bujur garis_bujur kinh_do 经度 經度 経度 경도 خط_الطول קו_אורך देशांतर "
        "ลองจิจูด 东经 東經 東経 طول_جغرافیایی dl_geogr dlugosc_geogr довгота дължина географска_дужина laengdegrad lengte "
        "longituda lengdargrad"
    ),
    "latlon": (
        "latlon lat_lon latlng lat_lng lat_long latlong latitude_longitude latitude_and_longitude gps_position "
        "gps_coordinates gps_coords coordinates coords coordinate coord gps location position point geo_point "
        "geo_location geolocation geo_coordinates geometry geom the_geom geo wkt wkb wkt_geom wkt_geometry shape "
        "loc pos lat_lng_coordinates koordinaten gps_koordinaten coordonnees coordonnees_gps coordenadas "
        "coordenadas_gps coordinate_gps coordinaten "
        "coordinaat koordinater koordinaatit wspolrzedne souradnice koordinatlar координаты 坐标 座標 좌표 coordinates_lat_lon "
        "lat_lon_coordinates"
    ),
    "lonlat": "lonlat lon_lat lnglat lng_lat longlat long_lat longitude_latitude longitude_and_latitude",
    "latitude_side": (
        "gps_latitude_ref latitude_ref lat_ref lat_dir latitude_dir lat_direction latitude_direction lat_hemisphere "
        "latitude_hemisphere lat_hemi lat_side lat_ns ns_lat n_s ns north_south"
    ),
    "longitude_side": (
        "gps_longitude_ref longitude_ref lon_ref lng_ref long_ref lon_dir longitude_dir lon_direction longitude_direction "
        "long_direction lng_dir long_dir lon_hemisphere long_hemisphere lng_hemisphere longitude_hemisphere lon_hemi long_hemi "
        "lon_side lon_ew ew_lon e_w ew east_west w_e"
    ),
    # The last ones double as ids: Im2GPS3k and YFCC name the file itself in IMG_ID.
    "picture": (
        "path image_path img_path file_path photo_path picture_path filepath imagepath filename file_name image_filename "
        "image_file_name image_name img_name photo_name picture_name image_file img_file photo_file picture_file "
        "source_file file image img photo picture input rel_path relative_path full_path abs_path file_location "
        "local_path dateiname dateipfad datei bilddatei bildname bildpfad bild foto pfad nom_fichier nom_du_fichier "
        "nom_de_fichier fichier chemin nom_image nombre_archivo nombre_de_archivo nombre_del_archivo archivo fichero "
        "nombre_imagen imagen ruta nome_arquivo nome_do_arquivo arquivo ficheiro nome_do_ficheiro caminho imagem "
        "nome_file nome_del_file percorso immagine bestandsnaam bestand afbeelding pad filnamn fil bild_fil filnavn "
        "billede bilde tiedosto tiedostonimi kuva nazwa_pliku plik zdjecie sciezka soubor nazev_souboru cesta obrazek "
        "fajl fajlnev kep dosya dosya_adi resim файл имя_файла путь фото изображение фаил имя_фаила nama_file nama_berkas "
        "文件名 文件 文件路径 图片 图像 檔名 檔案 圖片 ファイル名 ファイル 画像 파일명 파일 이미지 اسم_الملف الصورة "
        "שם_קובץ ชื่อไฟล์ "
        "图片名称 图片路径 图片名 图像名 照片 照片名 照片名称 图片文件 写真 画像ファイル 画像名 사진 שם_הקובץ "
        "назва_файлу фаил_назва ten_tep tep फ़ाइल नाम_फ़ाइल نام_فایل فایل "
        "αρχειο ονομα_αρχειου εικονα nume_fisier fisier imagine fitxer nom_fitxer imatge датотека datoteka "
        "naziv_datoteke slika "
        "skra mynd photo_file_name image_location image_uri pic picture_file_name pic_name local_file"
    ),
    "id": (
        "id image_id img_id uuid photo_id picture_id key image_key photo_uuid map_photo_uuid guid pano_id panoid "
        "panorama_id gbif_id "
        "identifier"
    ),
    "sequence_id": "sequence_id sequence sequence_uuid map_sequence_uuid sequence_key seq_id skey seq",
    "creator": (
        "creator creator_username username author photographer artist by_line credit rights_holder owner owner_name "
        "user_name urheber autor fotograf fotografin bildautor auteur photographe fotografo autore fotograaf maker tekija "
        "kuvaaja автор фотограф 作者 撮影者 촬영자"
    ),
    "captured_at_utc": (
        "captured_at_utc captured_at map_capture_time capture_time captured date_time_original datetime_original "
        "exif_date_time_original create_date date_taken datetaken taken_at taken_on time_taken photo_taken_time shot_at "
        "timestamp date_time datetime observed_on event_date time date when aufnahmezeit aufnahmedatum aufgenommen_am "
        "zeitstempel datum zeit date_de_prise_de_vue date_prise_de_vue horodatage fecha fecha_hora fecha_de_captura data "
        "data_hora data_scatto data_ora opnamedatum tijdstip дата время 拍摄时间 日期 撮影日時 日時 촬영일"
    ),
    "compass_angle": (
        "compass_angle computed_compass_angle heading compass_heading map_compass_heading_true_heading true_heading "
        "gps_img_direction img_direction ca bearing azimuth yaw"
    ),
    "is_pano": "is_pano pano panorama is_panorama",
    "licence": "licence license licence_name license_name lizenz licencia licenza",
    "url": "url",
    "source": "source source_repo",
    "address": "download_url image_url img_url photo_url picture_url media_url thumb_url",
}
"""Our column, then the headings under which tables have it, in order of preference.

Words are joined by `_` here and compared as `folded` has them: case, accents, spaces, groups and units do not count. Known
layouts: OSV-5M, Im2GPS3k and YFCC (`IMG_ID,LAT,LON`), GeoCLIP (`IMG_FILE,LAT,LON`), `filename,lat,lon,grid_label`, Mapillary
Street-level Sequences (`key,lon,lat,ca,captured_at,pano`), `exiftool -csv`, Darwin Core, mapillary_tools, iNaturalist.
"""

TITLE_LINES = 20
"""Headings are looked for in so many lines."""

_UNITS = re.compile(r"[(\[{<].*?[)\]}>]")
_GROUP = re.compile(
    r"^(?:exif|composite|xmp(?:-\w+)?|gps|iptc|file|system|ifd0|exififd|quicktime|main)\s*[:.]\s*", re.I
)


def folded(heading: object) -> str:
    """Return a heading as it is compared: small letters and digits alone, without accents, brackets and exiftool's groups.

    Example:
        >>> folded("EXIF:GPS Latitude [°]"), folded("Längengrad")
        ('gpslatitude', 'langengrad')
    """
    text = _GROUP.sub("", str(heading).strip().lstrip("#").strip("\ufeff \"'"))
    bare = _UNITS.sub("", text)
    letters = unicodedata.normalize(
        "NFKD", (bare or text).casefold().replace("ł", "l").replace("ø", "o").replace("ı", "i")
    )
    return "".join(c for c in letters if c.isalnum())


@cache
def _rank() -> dict[str, tuple[str, int]]:
    """Return our column and the place in the order of preference, by folded heading."""
    found: dict[str, tuple[str, int]] = {}
    for ours, names in HEADINGS.items():
        for place, name in enumerate(names.split()):
            found.setdefault(folded(name), (ours, place))
    return found


def known_headings(headings: Iterable[object]) -> list[str]:
    """Return our columns that some headings stand for."""
    return [_rank()[name][0] for name in map(_folded_part, headings) if name in _rank()]


def known_count(headings: Iterable[object], asked: Iterable[str | None]) -> int:
    """Return how many of our columns some headings stand for, and how many of them are asked for as they are written."""
    headings, given = list(headings), set(asked)
    return len(set(known_headings(headings))) + sum(str(heading).strip() in given for heading in headings)


def joined_headings(upper: Sequence[str], lower: Iterable[object]) -> list[str]:
    """Return headings of two lines as one, such as `Coordinates` above `Latitude` and `Longitude`; the upper ones above data.

    Args:
        upper: headings of the first line, empty where they were merged with another.
        lower: cells of the second one.
    """
    cells = ["" if cell is None or cell != cell else str(cell).strip() for cell in lower]
    given = [cell for cell in cells if cell]
    known = known_headings(given)
    if not given or len(known) < len(given) or set(known) <= set(known_headings(upper)):
        return list(upper)
    return [below or above for above, below in zip(upper, cells, strict=True)]


def _folded_part(heading: object) -> str:
    """Return a heading folded, or the last part of one such as `location.lat` where that alone is known."""
    whole = folded(heading)
    if whole in _rank():
        return whole
    last = folded(str(heading).rsplit(".", 1)[-1])
    return last if last in _rank() else whole


def is_known(heading: object, asked: Iterable[str | None] = ()) -> bool:
    """Say whether a heading stands for one of our columns, or is asked for."""
    given = {str(name).strip().casefold() for name in asked if name is not None}
    return _folded_part(heading) in _rank() or str(heading).strip().casefold() in given


def columns_of(headings: Sequence[object], asked: Mapping[str, str | None]) -> dict[str, list[int]]:
    """Return which columns of a table could be which of ours, the best one first.

    Args:
        headings: of the table.
        asked: headings by our column, as flags give them; they win.

    Raises:
        KeyError: a heading that is asked for is not there; the argument is our column.
    """
    given = {ours: _named(headings, ours, name) for ours, name in asked.items() if name is not None}
    found: dict[str, list[tuple[int, int]]] = {}
    for number, heading in enumerate(headings):
        rank = _rank().get(_folded_part(heading))
        if rank is not None and number not in given.values():
            found.setdefault(rank[0], []).append((rank[1], number))
    best = {ours: [number for _, number in sorted(columns)] for ours, columns in found.items()}
    return best | {ours: [number] for ours, number in given.items()}


def _named(headings: Sequence[object], ours: str, given: str) -> int:
    """Return the column that a flag names: as it is written, without case, folded, or by its number in a table without headings."""
    texts = [str(heading).strip() for heading in headings]
    for same in (str, str.casefold, folded):
        if (wanted := same(given.strip())) and wanted in (plain := [same(text) for text in texts]):
            return plain.index(wanted)
    if given.strip().isdigit() and f"column {given.strip()}" in texts:
        return texts.index(f"column {given.strip()}")
    raise KeyError(ours)
